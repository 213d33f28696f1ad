"""Checkpoints of anomalib: thresholds, preprocessing and flags of each version."""

import pytest
import torch
from torchvision.transforms import v2

from anomedge.errors import InputError
from anomedge.interop.anomalib import Taken, import_native, read_foreign
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
