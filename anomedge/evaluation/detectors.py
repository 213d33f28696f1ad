"""Detectors under evaluation: a bundle under its runtimes, and eager Torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeFailure
from anomedge.evaluation.bootstrap import REPLICATES
from anomedge.images import Frame, Picture, with_levels
from anomedge.inspector import Inspector
from anomedge.resample import Geometry
from anomedge.resample.levels import Levels
from anomedge.resample.outside_resize import stated_size
from anomedge.threshold import Decision
from anomedge.verification import load_original

if TYPE_CHECKING:
    from anomedge.export.eager import EagerSession
    from anomedge.pipelines.model import Model

__all__ = [
    "Detector",
    "Judgement",
    "Options",
    "Subject",
    "bundle_or_model",
    "subject_of",
]


@dataclass(frozen=True)
class Options:
    """Options of an evaluation.

    Attributes:
        model: model file of the bundle; adds eager Torch, and the changes to it.
        runtimes: names; the first that can run here if empty.
        precision: a precision of the bundle, or a mode of a runtime.
        device: device in the vendor's notation; the runtime's default if None.
        threads: CPU threads; the runtime's default if None.
        batch: number of pictures in a call of a runtime, at least 1.
        seed: of the bootstrap; the same seed gives the same intervals.
        replicates: replicates of the bootstrap, at least 100.
        normal: label of the normal pictures; the known ones if None.
    """

    model: Path | str | None = None
    runtimes: Sequence[str] = ()
    precision: str = "fp32"
    device: str | None = None
    threads: int | None = None
    batch: int = 1
    seed: int = 0
    replicates: int = REPLICATES
    normal: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers; raise InputError."""
        if self.batch < 1 or self.seed < 0 or self.replicates < 100:
            raise InputError(
                f"got batch {self.batch}, seed {self.seed} and {self.replicates} replicates; expected at least 1, 0 and 100"
            )

    @property
    def needs_bundle(self) -> bool:
        """Whether an option is one of a bundle or its runtimes."""
        modes = (self.precision, self.device, self.threads)
        plain = modes == ("fp32", None, None)
        return self.model is not None or bool(self.runtimes) or not plain


class Judgement(NamedTuple):
    """Result of one detector for one picture.

    Attributes:
        score: raw and unclamped.
        anomalous: whether the score is above the threshold.
        anomaly_map: float32 (H, W), raw; None for a detector without a map.
        mask: bool (H, W), true where the map is above the pixel threshold; None
            without a map.
    """

    score: float
    anomalous: bool
    anomaly_map: npt.NDArray[np.float32] | None
    mask: npt.NDArray[np.bool_] | None


class Detector(ABC):
    """An opened detector; `name`, `version`, `running_on` and `choice` as of a session."""

    name: str
    version: str
    running_on: str
    choice: runtimes.Choice | None = None

    @abstractmethod
    def judge(self, frames: Sequence[Frame]) -> list[Judgement]:
        """Judge frames of one size."""


@dataclass(frozen=True)
class Subject:
    """The bundle or model under evaluation, opened.

    Attributes:
        path: bundle or model file.
        digest: digest of the bundle, or SHA-256 of the model file.
        geometry: mapping of a frame to the detector's image.
        decision: the thresholds in force.
        detectors: eager Torch first, if there is a model.
        bundle: the bundle; None for a model alone, which takes any frame.
        fitted: SHA-256 of the pictures of the fit; None without a model.
        levels: levels of pictures with more than 8 bits per channel.
        has_region: the detector is restricted to a region of any shape, outside of which its maps are 0.
    """

    path: Path
    digest: str
    geometry: Geometry
    decision: Decision
    detectors: Sequence[Detector]
    bundle: Bundle | None = None
    fitted: Collection[str] | None = None
    levels: Levels | None = None
    has_region: bool = False
    _closing: ExitStack = field(default_factory=ExitStack)

    @property
    def frame(self) -> tuple[int, int] | None:
        """(height, width) of the frames that it takes; None for any."""
        if self.bundle is None:
            return None
        return stated_size(self.bundle.manifest.framing)

    def read(self, picture: Picture) -> Frame:
        """Read a picture as the detectors take it: as `predict`, unchanged."""
        for detector in self.detectors:
            if isinstance(detector, _RuntimeDetector) and picture.path:
                return detector.inspector.read(picture.path)
        (leveled,) = with_levels([picture], self.levels)
        return leveled.frame()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()


def bundle_or_model(subject: Bundle | Path | str) -> Bundle | Path:
    """Return the opened bundle, or the path of a model file."""
    if isinstance(subject, Bundle):
        return subject
    path = Path(subject)
    return path if path.is_file() else Bundle.open(path)


def subject_of(subject: Bundle | Path, options: Options) -> Subject:
    """Open a bundle under its runtimes, or a model file in eager Torch.

    Args:
        subject: a bundle, or the path of a model file.
        options: model to compare with, and options of the runtimes.

    Raises:
        InputError: options of runtimes or a second model beside a model file, or
            a model of another detector.
        AnomedgeError: the bundle, the model or a runtime cannot be opened.
    """
    if isinstance(subject, Path):
        return _model_alone(subject, options)
    bundle = subject
    detectors: list[Detector] = []
    fitted = None
    if options.model is not None:
        path = Path(options.model)
        original = _original(bundle, path)
        detectors.append(_eager(original, path, bundle.decision))
        fitted = original.card.known
    with ExitStack() as stack:
        for name in _distinct(options.runtimes) or [None]:
            inspector = Inspector.open(
                bundle,
                name,
                options.device,
                precision=options.precision,
                threads=options.threads,
            )
            detectors.append(_RuntimeDetector(stack.enter_context(inspector)))
        return Subject(
            path=bundle.path,
            digest=bundle.manifest.digest,
            geometry=bundle.manifest.geometry,
            decision=bundle.decision,
            detectors=detectors,
            bundle=bundle,
            fitted=fitted,
            levels=bundle.manifest.levels,
            has_region=bool(bundle.manifest.config.get("masked")),
            _closing=stack.pop_all(),
        )


class _RuntimeDetector(Detector):
    """A bundle under one runtime."""

    def __init__(self, inspector: Inspector) -> None:
        session = inspector.session
        self.inspector = inspector
        self.name = session.name
        self.version = session.version
        self.running_on = session.running_on
        self.choice = session.choice

    def judge(self, frames: Sequence[Frame]) -> list[Judgement]:
        """Judge frames as `anomedge predict` does."""
        return [
            Judgement(
                result.score,
                result.label == "anomalous",
                result.anomaly_map,
                result.mask,
            )
            for result in self.inspector.predict_batch(frames)
        ]


class _EagerDetector(Detector):
    """A model file in eager Torch."""

    def __init__(self, session: EagerSession, decision: Decision) -> None:
        self._session = session
        self._decision = decision
        self.name = session.name
        self.version = session.version
        self.running_on = session.running_on

    def judge(self, frames: Sequence[Frame]) -> list[Judgement]:
        """Judge frames one at a time."""
        return [self._judge(frame) for frame in frames]

    def _judge(self, frame: Frame) -> Judgement:
        outputs = self._session.run({"frames": frame[None]})
        if not all(np.isfinite(array).all() for array in outputs.values()):
            raise RuntimeFailure(
                f"{self.name} gave a score or map that is not finite; fit the model again"
            )
        decision, score = self._decision, float(outputs["score"][0])
        anomaly_map = mask = None
        if decision.has_map:
            anomaly_map = outputs["anomaly_map"][0, 0]
            mask = decision.mask(anomaly_map)
        return Judgement(
            score, bool(decision.is_anomalous(score)), anomaly_map, mask
        )


def _model_alone(path: Path, options: Options) -> Subject:
    if options.needs_bundle:
        raise InputError(
            f"got the model file {path} with --model or an option of a runtime; expected a bundle for these: a model file "
            "alone runs in eager Torch"
        )
    from anomedge.pipelines.model import load

    loaded = load(path)
    return Subject(
        path=path,
        digest=loaded.digest,
        geometry=loaded.geometry,
        decision=loaded.decision,
        detectors=[_eager(loaded, path, loaded.decision)],
        fitted=loaded.card.known,
        levels=loaded.levels,
        has_region=loaded.pipeline.config.masked,
    )


def _original(bundle: Bundle, path: Path) -> Model:
    """Load the bundle's model; refuse one with another decision or geometry."""
    loaded, manifest = load_original(bundle, path), bundle.manifest
    same = loaded.geometry == manifest.geometry
    if not same or loaded.decision != manifest.decision:
        raise InputError(
            f"{path} has other thresholds or another image size than {bundle.path}; expected the model it was exported "
            "from: export it again"
        )
    return loaded


def _eager(model: Model, path: Path, decision: Decision) -> Detector:
    from anomedge.export.eager import EagerSession

    return _EagerDetector(EagerSession(model, path), decision)


def _distinct(names: Sequence[str]) -> list[str | None]:
    """Return the full names of runtimes, each once."""
    return list(dict.fromkeys(runtimes.get(name).name for name in names))
