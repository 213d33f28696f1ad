"""Examine a client on golden and hard frames and report the stages at which it departs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomedge.bundle import CERTIFICATES, LOCAL, Bundle
from anomedge.conformance.client import Answer, Client
from anomedge.conformance.finding import STAGES, Finding
from anomedge.conformance.frames import (
    Case,
    golden_cases,
    hard_frames,
    unusual_files,
    write_frame,
    wrong_sizes,
)
from anomedge.conformance.scores import Allowed, diagnosed, map_finding
from anomedge.conformance.settings import SettingsCheck
from anomedge.inspector import Inspector
from anomedge.parity.certificate import TOLERANCES
from anomedge.resample.outside_resize import stated_size

__all__ = ["Conformance", "examine"]

_TYPICAL_FRAME = (480, 640)
"""Size of the hard frames of a bundle that takes pictures of any size."""


@dataclass(frozen=True)
class Conformance:
    """Result of an examination.

    Attributes:
        findings: departures, in the order of the stages.
        frames: number of frames with a compared score.
        not_examined: stages that the client's interface does not allow to examine, with the reason.
    """

    findings: tuple[Finding, ...]
    frames: int
    not_examined: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether no departure was found, and at least one score was compared."""
        return not self.findings and self.frames > 0


def examine(
    inspector: Inspector,
    client: Client,
    *,
    precision: str = "fp32",
    most: int = 6,
    raw: bool = False,
    batches: bool = False,
    maps: bool = False,
) -> Conformance:
    """Examine a client against a bundle that is opened under a runtime of this machine.

    Args:
        inspector: gives the expected scores of hard frames and of typical mistakes.
        client: the client.
        precision: precision that the client runs; its tolerances are allowed.
        most: largest number of golden frames.
        raw: give frames as raw RGB bytes in place of PNGs.
        batches: give several frames in one call, too.
        maps: compare maps, if the detector has them.
    """
    with tempfile.TemporaryDirectory(prefix="anomedge-conform-") as folder:
        root = Path(folder)
        copy = Bundle.open(_copied(inspector.bundle.path, root / "bundle"))
        run = _Examination(inspector, client, copy, root, raw)
        tolerance = TOLERANCES[precision]
        run.allowed = Allowed(tolerance.score, tolerance.map)
        run.maps = maps and copy.manifest.has_map
        return run.result(most, batches)


def _copied(source: Path, target: Path) -> Path:
    """Copy a bundle without its local settings and certificates, for changes of the copy."""
    ignored = shutil.ignore_patterns(LOCAL, CERTIFICATES)
    return Path(shutil.copytree(source, target, ignore=ignored))


class _Examination:
    """One examination; its methods return the departures of one group of stages."""

    allowed = Allowed(0, 0)
    maps = False

    def __init__(
        self,
        inspector: Inspector,
        client: Client,
        bundle: Bundle,
        root: Path,
        raw: bool,
    ) -> None:
        self.inspector, self.client, self.bundle = inspector, client, bundle
        self.raw, self.root = raw, root
        self.size = stated_size(bundle.manifest.framing)
        self.decision = bundle.manifest.decision
        self.frames = 0

    def result(self, most: int, batches: bool) -> Conformance:
        """Run all checks; stop after those of scores if the client gives no usable answer."""
        cases = [*golden_cases(self.bundle, most), *self._hard_cases()]
        answers = [self._ask(case) for case in cases]
        findings = list(self._on_scores(cases, answers))
        usable = all(len(answer.scores) for answer in answers)
        if usable:
            if not findings:
                findings += self._decoding()
                findings += self._batch(cases) if batches else []
            findings += self._wrong_sizes()
            middle = self._nearest_threshold(answers)
            findings += SettingsCheck(
                self.client,
                self.bundle,
                self._path(cases[middle]),
                answers[middle],
            ).findings()
        findings.sort(key=lambda finding: STAGES.index(finding.stage))
        return Conformance(
            tuple(findings), self.frames, self._not_examined(batches)
        )

    def _hard_cases(self) -> list[Case]:
        frames = hard_frames(self.size or _TYPICAL_FRAME)
        return [self._case(name, frame) for name, frame in frames.items()]

    def _case(self, name: str, frame: np.ndarray) -> Case:
        result = self.inspector.predict_batch([frame])[0]
        return Case(name, frame, result.score, result.anomaly_map)

    def _path(self, case: Case) -> Path:
        return write_frame(self.root, case.name, case.frame, self.raw)

    def _ask(self, case: Case) -> Answer:
        size = None
        if self.maps and case.anomaly_map is not None:
            height, width = case.anomaly_map.shape
            size = height, width
        return self.client(self.bundle.path, [self._path(case)], size)

    def _on_scores(
        self, cases: Sequence[Case], answers: Sequence[Answer]
    ) -> Iterator[Finding]:
        """Compare scores, labels and maps of all frames."""
        for case, answer in zip(cases, answers, strict=True):
            if len(answer.scores) == 0:
                reason = answer.fault or answer.refusal
                yield Finding("protocol", f"{case.name}: {reason}")
                return
        found = np.array([answer.scores[0] for answer in answers])
        self.frames = len(cases)
        departure = diagnosed(found, cases, self.inspector, self.allowed.score)
        if departure is not None:
            yield departure
        labels = [answer.labels[0] for answer in answers]
        yield from self._labels("threshold", cases, found, labels)
        maps = (
            map_finding(
                answer.anomaly_map, case, self.decision, self.allowed.map
            )
            for case, answer in zip(cases, answers, strict=True)
        )
        yield from [finding for finding in maps if finding][:1]

    def _labels(
        self,
        stage: str,
        cases: Sequence[Case],
        scores: Iterable[float],
        labels: Sequence[str],
    ) -> Iterator[Finding]:
        """Compare each label with the client's own score."""
        for case, given, label in zip(cases, scores, labels, strict=True):
            score = np.float32(given)
            anomalous = bool(self.decision.is_anomalous(score))
            right = "anomalous" if anomalous else "normal"
            if label != right:
                yield Finding(
                    stage,
                    f"labels {case.name} with the score {score:.7g} {label} at the threshold "
                    f"{self.decision.threshold:.7g}; expected {right}",
                )
                return

    def _nearest_threshold(self, answers: Sequence[Answer]) -> int:
        scores = np.array([answer.scores[0] for answer in answers])
        return int(np.abs(scores - self.decision.threshold).argmin())

    def _decoding(self) -> Iterator[Finding]:
        """Examine PNGs of other modes; a refusal is no departure."""
        if self.raw:
            return
        frame = hard_frames(self.size or _TYPICAL_FRAME)["colour gradient"]
        for number, (name, picture, decoded) in enumerate(unusual_files(frame)):
            path = self.root / f"unusual-{number}.png"
            picture.save(path)
            answer = self.client(self.bundle.path, [path], None)
            if answer.refusal is not None:
                continue
            if answer.fault is not None:
                yield Finding("protocol", f"{name}: {answer.fault}")
                continue
            case = self._case(name, decoded)
            error = diagnosed(
                answer.scores, [case], self.inspector, self.allowed.score
            )
            if error is not None:
                yield Finding("decoding", error.text.rpartition(": ")[2])

    def _wrong_sizes(self) -> Iterator[Finding]:
        """Examine frames of a wrong size; the bundle's frame size is part of the contract."""
        if self.size is None:
            return
        for name, frame in wrong_sizes(self.size).items():
            if self.raw and frame.size == self.size[0] * self.size[1] * 3:
                continue  # raw bytes do not state a size
            path = write_frame(self.root, f"size-{name}", frame, self.raw)
            answer = self.client(self.bundle.path, [path], None)
            if answer.fault is not None:
                yield Finding("protocol", f"{name}: {answer.fault}")
            elif answer.refusal is None:
                height, width, _ = frame.shape
                yield Finding(
                    "size",
                    f"takes a frame of {height}x{width} ({name}); expected {self.size[0]}x{self.size[1]} only, and an exit "
                    "code other than 0",
                )
                return

    def _batch(self, cases: Sequence[Case]) -> Iterator[Finding]:
        """Examine all frames in one call."""
        same = [c for c in cases if c.frame.shape == cases[-1].frame.shape]
        paths = [self._path(case) for case in same]
        answer = self.client(self.bundle.path, paths, None)
        if len(answer.scores) == 0:
            reason = answer.fault or answer.refusal
            yield Finding("batch", f"{len(same)} frames in one call: {reason}")
            return
        wrong = diagnosed(
            answer.scores, same, self.inspector, self.allowed.score
        )
        if wrong is not None:
            yield Finding(
                "batch",
                f"scores of {len(same)} frames in one call are not those of single calls, in the order given: "
                f"{wrong.text.rpartition(': ')[2]}",
            )
        yield from self._labels("batch", same, answer.scores, answer.labels)

    def _not_examined(self, batches: bool) -> dict[str, str]:
        reasons = {}
        if not batches:
            reasons["batch"] = "the client takes no {frames}"
        if self.raw:
            reasons["decoding"] = "the client takes raw frames"
        if not self.maps:
            reasons["map"] = "the client writes no {map}"
        if self.size is None:
            reasons["size"] = "the bundle takes frames of any size"
        return reasons
