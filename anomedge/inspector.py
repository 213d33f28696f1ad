"""Inspect frames with a bundle: score, label and, if the detector has one, map and mask of each.

Bundles, runtimes and the reading of pictures are imported when a bundle is opened, so that importing this module
costs little more than numpy.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from anomedge.errors import InputError, RuntimeFailure
from anomedge.resample.outside_resize import OutsideResize, stated_size

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    from anomedge import runtimes
    from anomedge.bundle import Bundle
    from anomedge.images import Frame
    from anomedge.resample.levels import Levels
    from anomedge.threshold import Decision

    Given: TypeAlias = Frame | Path | str | Image.Image
    Inputs: TypeAlias = Frame | npt.NDArray[np.float32]

__all__ = ["Inspector", "Result"]


@dataclass(frozen=True)
class Result:
    """The verdict on one frame.

    Attributes:
        score: raw and unclamped.
        label: "anomalous" if the score is above the threshold, else "normal".
        anomaly_map: float32 (H, W), raw; covers the part of the frame that the
            detector uses. None for a detector without a map.
        mask: bool (H, W), true where the map is above the pixel threshold;
            None without a map.
        milliseconds: time of the runtime's call, divided by the batch size;
            reading and resizing a picture before it are not counted.
    """

    score: float
    label: str
    anomaly_map: npt.NDArray[np.float32] | None
    mask: npt.NDArray[np.bool_] | None
    milliseconds: float


class Inspector:
    """A bundle opened under a runtime, with its threshold.

    Example::

        with Inspector.open("part.anomedge") as inspector:
            print(inspector.predict("frame.png").label)
    """

    _resize: OutsideResize | None = None
    _levels: Levels | None = None

    def __init__(self, bundle: Bundle, session: runtimes.Session) -> None:
        from anomedge.bundle.changes import Changes

        self.bundle = bundle
        self.session = session
        self._changes = Changes(bundle)
        framing, self._levels = bundle.manifest.framing, bundle.manifest.levels
        if isinstance(framing, OutsideResize):
            self._resize = framing

    @classmethod
    def open(
        cls,
        bundle: Bundle | Path | str,
        runtime: str | None = None,
        device: str | None = None,
        **options: object,
    ) -> Inspector:
        """Open a bundle; arguments as in `anomedge.runtimes.open`."""
        from anomedge import runtimes
        from anomedge.bundle import Bundle

        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        _ = opened.decision  # read `local.json` now, so that later changes of the file have no effect
        return cls(
            opened,
            runtimes.open(opened, runtime=runtime, device=device, **options),
        )

    @property
    def decision(self) -> Decision:
        """The thresholds in force: the manifest's, with the device's overrides."""
        return self.bundle.decision

    def predict(self, frames: Given | Sequence[Given]) -> Result | list[Result]:
        """Inspect one frame or several and return a Result or a list of them.

        A frame is an RGB array (H, W, 3), a grey array (H, W), a Pillow image or the path of a picture. A sequence of
        frames, or an array (B, H, W, 3), gives a list.

        A bundle exported with `--frame any` takes frames of any sizes, also in one sequence. With the levels of a model
        that was fitted with `--levels`, arrays of uint16 are mapped to 8 bits; arrays of uint8 are taken as they are.

        Raises:
            InputError: a frame that is not uint8 or not of the bundle's size, or a picture that cannot be read.
        """
        if isinstance(frames, np.ndarray) and frames.ndim == 4:
            if self._resize is not None or self._levels is not None:
                return self.predict_batch(list(frames))
            return self._inspect(frames)
        if isinstance(frames, Iterator):
            raise InputError(
                "got an iterator, which may never end; expected a sequence of frames: give list(frames)"
            )
        if (
            isinstance(frames, (str, bytes))
            or hasattr(frames, "dtype")
            or not hasattr(frames, "__len__")
        ):
            return self.predict_batch([frames])[0]  # type: ignore[list-item]
        return self.predict_batch(frames)  # type: ignore[arg-type]

    def predict_batch(self, frames: Sequence[Given]) -> list[Result]:
        """Inspect frames and paths of pictures in one call of the runtime; errors as in `predict`."""
        from anomedge.images.frames import as_frame

        if isinstance(frames, (str, bytes)) or not hasattr(frames, "__len__"):
            raise InputError(
                f"got a {type(frames).__name__}; expected a sequence of frames or paths: give a list"
            )
        if len(frames) == 0:
            raise InputError("got an empty batch; expected at least one frame")
        loaded = [
            self.read(frame)
            if isinstance(frame, (str, Path))
            else as_frame(frame, self._levels)
            for frame in frames
        ]
        if self._resize is not None:
            resized = [self._resize.apply(frame) for frame in loaded]
            return self._inspect(np.stack(resized))
        if len({frame.shape for frame in loaded}) > 1:
            raise InputError(
                f"got frames of {sorted({f.shape for f in loaded})}; expected one size, the bundle's"
            )
        return self._inspect(np.stack(loaded))

    def changed(self) -> str | None:
        """Return one sentence on how the bundle's files changed since opening; None if there is no new change.

        Changed files do not affect the session. The files are polled at most once a second, so the method may be called
        for every frame.
        """
        return self._changes.ask()

    def close(self) -> None:
        """Free the runtime's objects."""
        self.session.close()

    def __enter__(self) -> Inspector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self, path: Path | str) -> Frame:
        """Read a picture of the bundle's frame size, or of any, as uint8 (H, W, 3); errors as in `predict`."""
        from anomedge.images import read_picture
        from anomedge.images.checks import wrong_size

        expected = stated_size(self.bundle.manifest.framing)
        frame = read_picture(Path(path), size=expected, levels=self._levels)
        if expected is not None and frame.shape[:2] != expected:
            raise wrong_size(path, frame.shape[:2], expected)
        return frame

    def _run(self, frames: Inputs) -> runtimes.Tensors:
        """Run a batch of any size, in parts if graph or engine take fewer frames.

        The last part of a fixed batch is padded with its last frame.
        """
        contract = self.bundle.manifest.input
        fixed = None if contract.batch == "dynamic" else int(contract.batch)
        size = fixed or self.session.largest
        if size is None or frames.ndim != 4 or len(frames) == 0:
            return self.session.run({contract.name: frames})
        parts = []
        for start in range(0, len(frames), size):
            part = frames[start : start + size]
            if fixed and len(part) < size:
                padding = np.repeat(part[-1:], size - len(part), axis=0)
                part = np.concatenate([part, padding])
            parts.append(self.session.run({contract.name: part}))
        outputs = {}
        for name in parts[0]:
            whole = np.concatenate([part[name] for part in parts])
            outputs[name] = whole[: len(frames)]
        return outputs

    def _inspect(self, frames: Inputs) -> list[Result]:
        start = time.perf_counter()
        outputs = self._run(frames)
        milliseconds = (time.perf_counter() - start) * 1000 / len(frames)
        promised = self.bundle.manifest.outputs
        if not all(np.isfinite(outputs[o.name]).all() for o in promised):
            raise RuntimeFailure(
                f"{self.session.name} gave a score or map that is not finite; verify the bundle here"
            )
        return [
            self._result(outputs, place, milliseconds)
            for place in range(len(frames))
        ]

    def _result(
        self, outputs: runtimes.Tensors, place: int, milliseconds: float
    ) -> Result:
        """Return the result of one frame of a batch."""
        decision, score = self.decision, outputs["score"][place]
        anomaly_map = mask = None
        if self.bundle.manifest.has_map:
            anomaly_map = outputs["anomaly_map"][place, 0]
            mask = decision.mask(anomaly_map)
        return Result(
            score=float(score),
            label="anomalous" if decision.is_anomalous(score) else "normal",
            anomaly_map=anomaly_map,
            mask=mask,
            milliseconds=milliseconds,
        )
