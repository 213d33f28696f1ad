"""Transforms that a file states: those that can be represented, and refusals by name."""

import pytest
from torchvision.transforms import v2

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
