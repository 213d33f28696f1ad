"""Transforms that a file states: those that can be represented, and refusals by name."""

import pytest
from torchvision.transforms import v2

from anomedge.errors import ModelError
from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.preprocessing import preprocessing_of, steps_of
from anomedge.interop.archive import Record
from anomedge.resample import Geometry
from tests.interop.anomalib import builder
from tests.interop.anomalib.refusing import SPEC, refused


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (SPEC("Resize", size=[32], antialias=True), "keeps the aspect ratio"),
        (SPEC("Resize", size=32, antialias=True), "keeps the aspect ratio"),
        (SPEC("Resize", size=[32, 48], antialias=False), "without antialias"),
        (SPEC("Resize", size=[0, 48], antialias=True), "height and width"),
        (
            SPEC("Resize", size=[8, 8], interpolation="bicubic"),
            "interpolation 'bicubic'",
        ),
        (SPEC("CenterCrop", size=[8, 8]), "out of order"),
        (SPEC("RandomHorizontalFlip", p=0.5), "RandomHorizontalFlip"),
        (SPEC("Compose", transforms=3), "Compose without transforms"),
        (SPEC("Normalize", mean=[0, 0], std=[1, 1]), "three numbers"),
        (SPEC("Normalize", mean=[0] * 3, std=[0] * 3), "three numbers"),
        ({"class_path": "os.system", "init_args": {}}, "os.system"),
        ({"class_path": 3}, "got the transform dict"),
        (3, "got the transform int"),
    ],
)
def test_a_transform_that_cannot_be_represented_is_refused(
    spec, match, tmp_path
):
    config = {"transform": spec}
    refused(builder.checkpoint_27("patchcore", config=config), tmp_path, match)


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        (v2.CenterCrop((33, 48)), "crop"),
        (v2.Resize((16, 16)), "out of order"),
        (v2.Grayscale(), "Grayscale"),
    ],
)
def test_a_pickled_transform_is_refused_alike(
    extra, match, tmp_path, monkeypatch
):
    processor = builder.pre_processor(monkeypatch, extra)
    refused(builder.checkpoint_2("patchcore", processor), tmp_path, match)


def test_nested_transforms_are_bounded(tmp_path):
    nested = SPEC("Compose", transforms=[])
    for _ in range(30):
        nested = SPEC("Compose", transforms=[nested] * 30)
    config = {"transform": nested}
    refused(
        builder.checkpoint_27("patchcore", config=config),
        tmp_path,
        "over 32 transforms",
    )


def found(*steps):
    return preprocessing_of(SPEC("Compose", transforms=list(steps)), "note")


RESIZE = SPEC("Resize", size=[32, 48], antialias=True)
NORMALIZE = SPEC("Normalize", mean=[0.5, 0.4, 0.3], std=[0.1, 0.2, 0.3])


def test_a_resize_a_crop_and_a_scaling_are_represented():
    stated = found(RESIZE, SPEC("CenterCrop", size=[24, 40]), NORMALIZE)
    assert stated.geometry == Geometry((32, 48), (24, 40))
    assert (stated.mean, stated.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert stated.antialias is True
    assert (stated.source, stated.note) == ("file", "note")


def test_without_a_scaling_images_stay_as_they_are():
    assert (found(RESIZE).mean, found(RESIZE).std) == UNSCALED
    assert found(NORMALIZE).geometry is None


def test_transforms_without_effect_are_passed_over():
    plain = [SPEC("Identity"), SPEC("ToImage"), SPEC("ToTensor")]
    assert found(*plain, RESIZE) == found(RESIZE)


def test_composes_are_flattened_in_order():
    inner = SPEC("Compose", transforms=[RESIZE, SPEC("Identity")])
    steps = steps_of(SPEC("Compose", transforms=[inner, NORMALIZE]))
    assert [step.name for step in steps] == ["Resize", "Identity", "Normalize"]
    assert steps[0].values["size"] == [32, 48]


def test_an_object_of_a_pickle_is_read_like_plain_data():
    path = "torchvision.transforms.v2._geometry"
    state = {"size": [32, 48], "antialias": True, "training": True}
    record = Record(path, "Resize", state=state)
    assert preprocessing_of(record, "note") == preprocessing_of(RESIZE, "note")


@pytest.mark.parametrize(
    "steps",
    [
        (RESIZE, RESIZE),
        (NORMALIZE, RESIZE),
        (RESIZE, NORMALIZE, NORMALIZE),
        (RESIZE, NORMALIZE, SPEC("CenterCrop", size=[8, 8])),
    ],
)
def test_transforms_out_of_order_are_refused(steps):
    with pytest.raises(ModelError, match="out of order; expected Resize, then"):
        found(*steps)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (SPEC("Resize", size=[32, 48], max_size=64), "keeps the aspect ratio"),
        (SPEC("Resize", size=[32.0, 48]), "keeps the aspect ratio"),
        (SPEC("Resize", size=[True, 48]), "keeps the aspect ratio"),
        (SPEC("Resize", size=[32, 48], interpolation=3), "interpolation 3"),
        (SPEC("Normalize", mean=[0] * 3, std=[1, 1, 9e-5]), "std from 0.0001"),
    ],
)
def test_values_that_no_geometry_has_are_refused(step, said):
    with pytest.raises(ModelError, match=said):
        found(step)


def test_two_crops_are_refused():
    crop = SPEC("CenterCrop", size=[24, 40])
    with pytest.raises(ModelError, match="got two CenterCrops"):
        found(RESIZE, crop, crop)
