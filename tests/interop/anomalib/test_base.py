"""The registry of detectors that are built from anomalib's files."""

from types import SimpleNamespace

import pytest

from anomedge.interop.anomalib.anomaly_dino import ImportedAnomalyDino
from anomedge.interop.anomalib.base import (
    REGISTRY,
    ImportedDetector,
    tensors_fit,
)
from anomedge.interop.anomalib.dfkde import ImportedDfkde
from anomedge.interop.anomalib.dfm import ImportedDfm
from anomedge.interop.anomalib.efficient_ad import ImportedEfficientAd
from anomedge.interop.anomalib.fastflow import ImportedFastflow
from anomedge.interop.anomalib.padim import ImportedPadim
from anomedge.interop.anomalib.patchcore import ImportedPatchcore
from anomedge.interop.anomalib.reverse_distillation import (
    ImportedReverseDistillation,
)
from anomedge.interop.anomalib.stfpm import ImportedStfpm


def test_each_detector_has_a_file():
    assert REGISTRY.members() == {
        "anomaly_dino": ImportedAnomalyDino,
        "dfkde": ImportedDfkde,
        "dfm": ImportedDfm,
        "efficient_ad": ImportedEfficientAd,
        "fastflow": ImportedFastflow,
        "padim": ImportedPadim,
        "patchcore": ImportedPatchcore,
        "reverse_distillation": ImportedReverseDistillation,
        "stfpm": ImportedStfpm,
    }


@pytest.mark.parametrize("missing", ["matches", "build"])
def test_a_detector_states_how_it_is_known_and_built(missing):
    methods = {
        name: classmethod(lambda kind, *given: None)
        for name in ("matches", "build")
        if name != missing
    }
    incomplete = type("Incomplete", (ImportedDetector,), methods)
    with pytest.raises(TypeError, match=missing):
        incomplete()


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (["bank", "network.a"], True),
        (["bank", "network.a", "blur.b"], True),
        (["bank"], False),
        (["banks", "network.a"], False),
        (["bank", "network.a", "other"], False),
        ([], False),
    ],
)
def test_a_file_has_what_a_model_needs_and_nothing_of_another(names, fits):
    foreign = SimpleNamespace(tensors=dict.fromkeys(names))
    known = ("bank", "network.", "blur.")
    assert tensors_fit(foreign, ["bank", "network."], known) is fits
