"""Clients with planted mistakes, in this process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.conformance import Answer
from anomedge.errors import AnomedgeError
from anomedge.files import parse_json


@dataclass
class Planted:
    """A client that is right but for the planted mistakes."""

    inspector: Inspector
    change: object = None  # a function of the frame
    score: object = None  # a function of the score
    at_threshold: bool = False
    reads_local: bool = True
    checks_owner: bool = True
    checks_files: bool = True
    checks_size: bool = True
    refuses_nan: bool = True
    float32_threshold: bool = False
    reversed_batch: bool = False
    one_label: bool = False
    anomaly_map: object = None  # a function of the map

    def __call__(self, bundle, frames, map_size=None) -> Answer:
        try:
            threshold = self.threshold_of(Path(bundle))
            arrays = [self.read(path) for path in frames]
            results = self.inspector.predict_batch(arrays)
        except AnomedgeError as error:
            return Answer.refused(str(error))
        if self.reversed_batch:
            results = results[::-1]
        scores = [self.changed(result.score) for result in results]
        labels = tuple(self.label(score, threshold) for score in scores)
        if self.one_label:
            labels = labels[:1] * len(labels)
        found = results[0].anomaly_map if map_size else None
        if self.anomaly_map is not None and found is not None:
            found = self.anomaly_map(found)
        return Answer(np.array(scores), labels, found)

    def threshold_of(self, bundle: Path) -> float:
        manifest = self.inspector.bundle.manifest
        if self.checks_files:
            manifest = Bundle.open(bundle).manifest
        local = bundle / "local.json"
        if not self.reads_local or not local.exists():
            return manifest.decision.threshold
        if not self.refuses_nan and "NaN" in local.read_text():
            return float("nan")
        if not self.checks_owner:
            try:
                return parse_json(local.read_bytes())["threshold"]
            except ValueError as error:
                raise AnomedgeError(str(error)) from error
        return Bundle.open(bundle).decision.threshold

    def read(self, path: Path) -> np.ndarray:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        size = self.inspector.bundle.manifest.input.frame[::-1]
        if not self.checks_size:
            picture = picture.resize(size)
        frame = np.asarray(picture)
        if self.change is None or picture.size != size:
            return frame
        return self.change(frame)

    def changed(self, score: float) -> float:
        # Every client gives float32 scores.
        changed = score if self.score is None else self.score(score)
        return float(np.float32(changed))

    def label(self, score: float, threshold: float) -> str:
        if self.float32_threshold:
            threshold = float(np.float32(threshold))
        above = score >= threshold if self.at_threshold else score > threshold
        return "anomalous" if above else "normal"
