"""GLASS: built without pretrained weights, without augmentation, and without a run to learn its widths."""

import pytest

from anomedge.interop.anomalib.models.glass import Glass
from tests.interop.anomalib.models.package import built

SOURCE = """
class Extractor:
    out_dims = [3, 5]


def _deduce_dims(extractor, size, layers):
    raise AssertionError("the network ran")


class PerlinAnomalyGenerator:
    def __init__(self, **given):
        raise OSError("download")


class GlassModel(Recorded):
    def __init__(self, input_shape, layers=None, **given):
        super().__init__(input_shape=input_shape, layers=layers, **given)
        self.widths = _deduce_dims(Extractor(), input_shape, layers)
        self.augmentation = PerlinAnomalyGenerator(anomaly_source_path=None)
"""


def test_nothing_runs_and_nothing_is_loaded(monkeypatch):
    model = built(monkeypatch, Glass, SOURCE, layers=("layer2",))
    assert model.widths == [3, 5]
    assert type(model.augmentation).__name__ == "Identity"
    assert model.given["layers"] == ["layer2"]
    assert model.given["pre_trained"] is False


@pytest.mark.parametrize(
    ("stated", "shape"), [(None, (32, 48)), ((64, 80), (64, 80))]
)
def test_the_files_shape_counts_before_the_size(monkeypatch, stated, shape):
    model = built(monkeypatch, Glass, SOURCE, input_shape=stated)
    assert model.given["input_shape"] == shape
    assert model.given["layers"] is None
