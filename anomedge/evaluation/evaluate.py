"""Evaluate a detector on a labelled data set, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeFailure
from anomedge.evaluation.changes import with_changes
from anomedge.evaluation.collected import Bootstrap, Collected
from anomedge.evaluation.dataset import (
    LabelledPictures,
    check_headers,
    read_labelled,
)
from anomedge.evaluation.detectors import (
    Detector,
    Judgement,
    Options,
    Subject,
    bundle_or_model,
    subject_of,
)
from anomedge.evaluation.notes import notes_on
from anomedge.evaluation.records import Column, Evaluation, PictureTotals
from anomedge.images import Frame, Mask, Picture
from anomedge.names import storable
from anomedge.parity.ground_truth import mask_on_map_grid
from anomedge.progress import track, waiting
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import stated_size

__all__ = ["EvaluationRun", "Judged", "evaluate"]


@dataclass(frozen=True)
class Judged:
    """One picture with the results of every detector.

    Attributes:
        picture: the picture.
        kind: its kind of defect; "good" for a normal one.
        frame: uint8 (Hf, Wf, 3).
        truth: mask on the map's grid (H, W); None if unknown.
        results: result of each detector, by its name.
    """

    picture: Picture
    kind: str
    frame: Frame
    truth: Mask | None
    results: dict[str, Judgement]


def evaluate(
    subject: Bundle | Path | str, dataset: Path | str, **options: Any
) -> Evaluation:
    """Evaluate a bundle under its runtimes, or a model file in eager Torch.

    Args:
        subject: a bundle, its folder, or a model file (needs torch).
        dataset: folder of labelled pictures, see `anomedge.images.read_folder`.
        **options: fields of `Options`, such as `runtimes=["openvino"]`.

    Raises:
        InputError: no labels, pictures that the bundle refuses, or options that
            do not fit the subject; before any picture is inspected.
        AnomedgeError: bundle, model or runtime cannot be opened, or a picture
            cannot be decoded.
    """
    with EvaluationRun.open(subject, dataset, Options(**options)) as run:
        for _ in run.judged():
            pass
        return run.result()


@dataclass
class EvaluationRun:
    """One evaluation: iterate over `judged`, then ask for the `result`.

    Attributes:
        subject: the opened bundle or model.
        data: the pictures.
        options: options of the evaluation.
    """

    subject: Subject
    data: LabelledPictures
    options: Options
    _judged: int = 0
    _masked: int = 0
    _vanished: int = 0
    _collected: dict[str, Collected] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def open(
        cls,
        subject: Bundle | Path | str,
        dataset: Path | str,
        options: Options,
    ) -> Iterator[EvaluationRun]:
        """Open the detectors and check the data set; errors as in `evaluate`."""
        data = read_labelled(Path(dataset), options.normal)
        source = bundle_or_model(subject)
        frame = None
        if isinstance(source, Bundle):
            frame = stated_size(source.manifest.framing)
        # Before a runtime opens, which may build an engine for minutes.
        check_headers(data.pictures, frame)
        with subject_of(source, options) as opened:
            run = cls(opened, data, options)
            for detector in opened.detectors:
                run._collected[detector.name] = Collected(
                    opened.decision, opened.has_region
                )
            yield run

    def judged(self) -> Iterator[Judged]:
        """Judge the pictures in order, and collect the results."""
        count = len(self.data.pictures)
        # Pictures of a model alone may differ in size.
        size = 1 if self.subject.frame is None else self.options.batch
        starts = range(0, count, size)
        for start in track(starts, "evaluating", total=len(starts)):
            places = range(start, min(start + size, count))
            pictures = [self.data.pictures[place] for place in places]
            frames = [self.subject.read(picture) for picture in pictures]
            results = [
                _judge(detector, frames, pictures)
                for detector in self.subject.detectors
            ]
            for place, frame, *of_each in zip(
                places, frames, *results, strict=True
            ):
                yield self._collect(place, frame, of_each)

    def result(self) -> Evaluation:
        """Compute all figures.

        Raises:
            InputError: not every picture was judged.
        """
        if self._judged < len(self.data.pictures):
            raise InputError(
                f"got {self._judged} of {len(self.data.pictures)} pictures judged; expected all: iterate over `judged` first"
            )
        bootstrap = Bootstrap(self.options.seed, self.options.replicates)
        columns = []
        with waiting("computing figures") as say:
            for detector in self.subject.detectors:
                say(detector.name)
                columns.append(self._column(detector, bootstrap))
        totals, subject = self._totals(), self.subject
        local = subject.bundle is not None and subject.bundle.local is not None
        return Evaluation(
            subject=storable(str(subject.path)),
            digest=subject.digest,
            dataset=storable(str(self.data.folder)),
            precision=self.options.precision,
            pictures=totals,
            local_thresholds=local,
            seed=bootstrap.seed,
            replicates=bootstrap.replicates,
            columns=tuple(with_changes(columns, self._flips())),
            notes=tuple(
                notes_on(
                    totals, columns, self._vanished, subject.decision.has_map
                )
            ),
        )

    def _flips(self) -> dict[str, tuple[str, ...]]:
        """Return, for each detector, the pictures that it and the first one decide differently."""
        names = [storable(picture.name) for picture in self.data.pictures]
        decided = {
            name: np.array(collected.decided)
            for name, collected in self._collected.items()
        }
        first = next(iter(decided.values()))
        flips = {}
        for name, decisions in decided.items():
            places = np.flatnonzero(decisions != first)
            flips[name] = tuple(names[place] for place in places)
        return flips

    def _collect(
        self, place: int, frame: Frame, results: Sequence[Judgement]
    ) -> Judged:
        """Add the results of one picture to those of all."""
        self._judged += 1
        picture = self.data.pictures[place]
        truth = None
        if self.subject.decision.has_map:
            truth = _truth_of(picture, self.subject.geometry, frame)
        if truth is not None:
            self._masked += 1
            self._vanished += bool(picture.anomalous) and not truth.any()
        named = dict(zip(self._collected, results, strict=True))
        for name, result in named.items():
            _require_same_grid(name, result, truth)
            self._collected[name].add(bool(picture.anomalous), result, truth)
        return Judged(picture, self.data.kinds[place], frame, truth, named)

    def _column(self, detector: Detector, bootstrap: Bootstrap) -> Column:
        collected = self._collected[detector.name]
        pixel = collected.pixel(bootstrap)
        return Column(
            name=detector.name,
            version=detector.version,
            running_on=detector.running_on,
            image=collected.image(bootstrap),
            pixel=pixel,
            kinds=tuple(collected.kinds(self.data.kinds, bootstrap)),
            map_bits=collected.map_bits,
        )

    def _totals(self) -> PictureTotals:
        pictures, fitted = self.data.pictures, self.subject.fitted
        known = None
        if fitted is not None:
            known = sum(picture.digest in fitted for picture in pictures)
        anomalous = int(self.data.anomalous.sum())
        return PictureTotals(
            normal=len(pictures) - anomalous,
            anomalous=anomalous,
            masked=self._masked,
            unlabelled=self.data.unlabelled,
            fitted=known,
        )


def _judge(
    detector: Detector, frames: Sequence[Frame], pictures: Sequence[Picture]
) -> list[Judgement]:
    """Judge frames; a failure names their pictures."""
    try:
        return detector.judge(frames)
    except RuntimeFailure as error:
        names = ", ".join(picture.name for picture in pictures)
        raise RuntimeFailure(f"{names}: {error}") from error


def _truth_of(
    picture: Picture, geometry: Geometry, frame: Frame
) -> Mask | None:
    """Return the mask on the map's grid; None if it is unknown."""
    if not picture.anomalous:
        return np.zeros(geometry.image, dtype=np.bool_)
    height, width = frame.shape[:2]
    return mask_on_map_grid(picture.mask(), geometry, (height, width))


def _require_same_grid(
    name: str, result: Judgement, truth: Mask | None
) -> None:
    """Refuse a map of another size than the detector's image."""
    if truth is None or result.anomaly_map is None:
        return
    if result.anomaly_map.shape != truth.shape:
        raise RuntimeFailure(
            f"{name} gave a map {result.anomaly_map.shape}; expected {truth.shape}, the image of the detector"
        )
