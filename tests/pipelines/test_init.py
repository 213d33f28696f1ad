"""The registry of detectors."""

import pytest

from anomedge.errors import InputError
from anomedge.pipelines import available, get


def test_directory_is_the_registry():
    plugins = {"anomalib"}
    own = {
        "anomaly_dino",
        "dfkde",
        "dfm",
        "efficient_ad",
        "fastflow",
        "padim",
        "patchcore",
        "reverse_distillation",
        "stfpm",
    }
    assert set(available()) - plugins == own
    with pytest.raises(InputError, match="efficient_ad, fastflow, padim"):
        get("draem")


@pytest.mark.parametrize("attribute", ["config_class", "options_class"])
def test_a_detector_that_is_incomplete_is_refused_by_name(
    monkeypatch, attribute
):
    from anomedge.pipelines.padim import Padim

    monkeypatch.delattr(Padim, attribute)
    with pytest.raises(InputError, match=f"Padim.* does not state {attribute}"):
        get("padim")
