"""Examine how a client decides: threshold rule, `local.json`, NaN, and hashes of the bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anomedge.bundle import LOCAL, Bundle
from anomedge.conformance.client import Answer, Client
from anomedge.conformance.finding import Finding

__all__ = ["SettingsCheck"]


class SettingsCheck:
    """Calls of a client on one frame, with different settings of the device.

    Args:
        client: the client.
        bundle: a copy of the bundle that may be written to.
        frame: the frame's file.
        answer: the client's answer with the bundle's own threshold.
    """

    def __init__(
        self, client: Client, bundle: Bundle, frame: Path, answer: Answer
    ) -> None:
        self._client, self._bundle, self._frame = client, bundle, frame
        self._score, self._label = float(answer.scores[0]), answer.labels[0]
        scale = bundle.manifest.decision.scale
        self._far = max(1.0, 10 * scale, 10 * abs(self._score))

    def findings(self) -> Iterator[Finding]:
        """Yield the departures; the rule at the threshold is only examined where `local.json` is read."""
        ignored = self._ignored()
        if ignored is not None:
            yield ignored
        else:
            yield from self._at_threshold()
            yield from self._of_another_bundle()
            yield from self._without_number()
        (self._bundle.path / LOCAL).unlink(missing_ok=True)
        yield from self._changed()

    def _ask(self, **settings: Any) -> Answer:
        own: Mapping[str, Any] = {"bundle": self._bundle.manifest.digest}
        # Python's JSON writes NaN, which strict JSON does not have.
        text = json.dumps({**own, **settings})
        (self._bundle.path / LOCAL).write_text(text)
        return self._client(self._bundle.path, [self._frame], None)

    def _ignored(self) -> Finding | None:
        """Return the departure of a client that does not take the threshold of `local.json`."""
        for offset, right in ((-self._far, "anomalous"), (self._far, "normal")):
            answer = self._ask(threshold=self._score + offset)
            if answer.labels != (right,):
                return Finding(
                    "local.json",
                    f"ignores the threshold of local.json: got {_shown(answer)} with the threshold "
                    f"{self._score + offset:.6g}; expected {right}",
                )
        return None

    def _at_threshold(self) -> Iterator[Finding]:
        """Examine a threshold equal to the score, and the next smaller float64."""
        at = float(np.float32(self._score))
        if self._ask(threshold=at).labels == ("anomalous",):
            yield Finding(
                "threshold",
                f"labels a score at the threshold ({at!r}) anomalous; expected > in place of >=",
            )
            return
        below = float(np.nextafter(at, -np.inf))
        if self._ask(threshold=below).labels == ("normal",):
            yield Finding(
                "threshold",
                f"labels the score {at!r} normal at the threshold {below!r}; expected a comparison in float64, "
                "and scores with 9 digits",
            )

    def _of_another_bundle(self) -> Iterator[Finding]:
        """Examine a `local.json` of another bundle, which must be ignored or refused."""
        offset = self._far if self._label == "anomalous" else -self._far
        answer = self._ask(threshold=self._score + offset, bundle="0" * 64)
        if answer.refusal is None and answer.labels != (self._label,):
            yield Finding(
                "local.json",
                "takes the threshold of a local.json that was written for another bundle; expected it to be ignored or refused",
            )

    def _without_number(self) -> Iterator[Finding]:
        """Examine a threshold that is no number: no score is above NaN."""
        answer = self._ask(threshold=float("nan"))
        if answer.refusal is None:
            yield Finding(
                "NaN",
                f"got {_shown(answer)} with NaN as threshold; expected an exit code other than 0",
            )

    def _changed(self) -> Iterator[Finding]:
        """Examine a bundle with one changed bit in the middle of each of its model's files."""
        for path in _model_files(self._bundle):
            _flip_bit(path)
        answer = self._client(self._bundle.path, [self._frame], None)
        if answer.refusal is None:
            yield Finding(
                "hashes",
                f"got {_shown(answer)} from a bundle with changed model files; expected a comparison with the manifest's "
                "SHA-256 and an exit code other than 0",
            )


def _model_files(bundle: Bundle) -> list[Path]:
    """Return the weights of all precisions: ONNX files and the `.bin` files of IRs."""
    names = set(bundle.manifest.files)
    found = set()
    for variant in bundle.manifest.variants.values():
        for kind in ("onnx", "openvino"):
            name = variant.find(format=kind)
            if name is not None:
                weights = str(Path(name).with_suffix(".bin"))
                found.add(weights if weights in names else name)
    return sorted(bundle.path / name for name in found)


def _flip_bit(path: Path) -> None:
    """Change the lowest bit of the byte in the middle, which mostly belongs to a weight."""
    with path.open("r+b") as file:
        middle = path.stat().st_size // 2
        file.seek(middle)
        value = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([value ^ 1]))


def _shown(answer: Answer) -> str:
    if answer.labels:
        return f"{answer.labels[0]} ({answer.scores[0]:.7g})"
    return answer.refusal or answer.fault or "no answer"
