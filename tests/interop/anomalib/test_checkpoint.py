"""Checkpoints of anomalib: thresholds, preprocessing and flags of each version."""

from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import (
    StoredThresholds,
    Taken,
    import_native,
    read_foreign,
)
from anomedge.interop.anomalib.checkpoint import (
    checkpoint,
    fitted_flag,
    pre_processor,
    thresholds_of_v1,
    thresholds_of_v2,
)
from anomedge.interop.archive import Record
from anomedge.interop.raw_thresholds import levels, raw_threshold
from anomedge.resample import Geometry
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import taken_from


def test_numbers_beyond_float32_are_not_set(tmp_path):
    content = builder.checkpoint_27("patchcore")
    for name in ("image_min", "_image_threshold"):
        value = torch.tensor(1e300, dtype=torch.float64)
        content["state_dict"][f"post_processor.{name}"] = value
    with read_foreign(builder.saved(content, tmp_path)) as foreign:
        stored = foreign.thresholds
    assert (stored.image_min, stored.image_threshold) == (None, None)


@pytest.mark.parametrize("value", ["0.3", True, float("nan"), [0.5]])
def test_a_sensitivity_that_is_no_number_is_not_the_default(tmp_path, value):
    content = builder.checkpoint_27("patchcore")
    content["anomalib_post_processor_config"]["image_sensitivity"] = value
    with read_foreign(builder.saved(content, tmp_path)) as foreign:
        image, _ = levels(foreign.thresholds)
    with pytest.raises(InputError, match=r"sensitivity nan .*--threshold"):
        raw_threshold(image, None, Taken())


def test_a_pickled_pre_processor_is_read(tmp_path, monkeypatch):
    crop = v2.CenterCrop(builder.CROP)
    content = builder.checkpoint_2(
        "patchcore", builder.pre_processor(monkeypatch, crop)
    )
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.version == "2.3 to 2.6"
    assert imported.geometry == Geometry(builder.SIZE, builder.CROP)
    assert taken_from(imported, "size") == ["file"]


def test_a_model_of_version_1_without_validation_has_no_threshold(tmp_path):
    content = builder.checkpoint_1("padim", builder.transform(), False)
    imported = import_native(builder.saved(content, tmp_path))
    assert set(vars(imported.thresholds).values()) == {None}


SCALED = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.mark.parametrize("value", [False, None, "other"])
def test_without_a_pre_processor_images_are_not_scaled(value):
    found = pre_processor(value)
    assert (found.mean, found.std) == tuple(SCALED.values())
    assert found.geometry is None
    assert "no pre-processor" in found.note


def test_a_switch_in_place_of_a_pre_processor_is_the_default():
    assert pre_processor(True).source == "table"
    assert pre_processor(True).geometry is None


def test_a_pre_processor_has_its_transform_as_a_module_or_an_attribute():
    step = builder.spec("Resize", size=[32, 48], antialias=True)
    for state in ({"_modules": {"transform": step}}, {"transform": step}):
        record = Record("anomalib.pre_processing", "PreProcessor", state=state)
        found = pre_processor(record)
        assert found.geometry == Geometry((32, 48))
        assert found.note == "PreProcessor of the file"
    empty = Record("anomalib.pre_processing", "PreProcessor", state={})
    assert "no pre-processor" in pre_processor(empty).note


def test_thresholds_of_version_1_count_only_after_a_validation():
    state = {
        "image_threshold.value": 3.5,
        "pixel_threshold.value": 2.5,
        "normalization_metrics.pred_scores.min": 1.0,
        "normalization_metrics.pred_scores.max": 4.0,
        "normalization_metrics.anomaly_maps.min": float("inf"),
        "normalization_metrics.anomaly_maps.max": -float("inf"),
    }
    found = thresholds_of_v1(state)
    assert (found.image_threshold, found.image_min) == (3.5, 1.0)
    assert found.pixel_threshold is found.pixel_min is None


def test_thresholds_of_version_2_are_tensors_and_attributes():
    found = thresholds_of_v2(
        {"_image_threshold": 5.0, "_pixel_threshold": float("nan"), "image_max": 7},
        {"image_sensitivity": 0.25, "enable_threshold_matching": False},
    )  # fmt: skip
    assert (found.image_threshold, found.image_max) == (5.0, 7.0)
    assert found.pixel_threshold is None
    assert (found.image_sensitivity, found.pixel_sensitivity) == (0.25, None)
    assert found.threshold_matching is False
    other = thresholds_of_v2({}, {"enable_threshold_matching": "yes"})
    assert other == StoredThresholds()


def test_a_flag_that_is_no_tensor_says_nothing():
    assert fitted_flag(None) is None
    assert fitted_flag(True) is None


def test_a_checkpoint_without_tensors_of_a_model_is_refused():
    content = {"anomalib_components_enabled": {}, "state_dict": {"a": 1}}
    with pytest.raises(ModelError, match=r"expected some named model\.\*"):
        checkpoint(Path("a.ckpt"), "d", content)
