"""A file of anomalib that tests state themselves, in place of one that is read."""

from contextlib import contextmanager
from pathlib import Path

from anomedge.interop import import_file as importing
from anomedge.interop.anomalib import (
    ForeignModel,
    Imported,
    Preprocessing,
    StoredThresholds,
)

VALIDATED = StoredThresholds(
    image_threshold=3.0,
    pixel_threshold=2.0,
    image_min=1.0,
    image_max=9.0,
    pixel_min=0.5,
    pixel_max=8.5,
)


def foreign_model(stored=VALIDATED, version="2.7", digest="d" * 64):
    return ForeignModel(
        path=Path("part.ckpt"),
        digest=digest,
        kind="ckpt",
        version=version,
        tensors={},
        arguments={},
        preprocessing=Preprocessing(),
        thresholds=stored,
    )


def stand_in(monkeypatch, model, foreign):
    """Let every file be `foreign`, with the detector of a fitted model; return the arguments of the imports."""
    calls = []

    @contextmanager
    def read_foreign(path):
        yield foreign

    def thresholds_of(foreign, detector, taken):
        return foreign.thresholds

    def native_of(foreign, detector, size, taken):
        calls.append((foreign, detector, size))
        taken.add("detector", model.pipeline.name, "file")
        return Imported(model.pipeline, model.geometry, foreign, taken)

    monkeypatch.setattr(importing, "read_foreign", read_foreign)
    monkeypatch.setattr(importing, "thresholds_of", thresholds_of)
    monkeypatch.setattr(importing, "native_of", native_of)
    return calls
