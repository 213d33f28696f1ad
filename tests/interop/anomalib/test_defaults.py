"""Defaults of anomalib's versions, as its sources have them."""

import pytest

from anomedge.interop.anomalib.defaults import UNSCALED, default_of
from anomedge.resample import Geometry


@pytest.mark.parametrize(
    ("version", "detector", "geometry"),
    [
        ("1.2", "padim", Geometry((256, 256))),
        ("1.2", "patchcore", Geometry((256, 256), (224, 224))),
        ("2.3 to 2.6", "patchcore", Geometry((256, 256))),
        ("2.7", "padim", Geometry((256, 256))),
        ("2.7", "patchcore", Geometry((256, 256))),
        ("1.2", "dfm", Geometry((256, 256))),
        ("2.3 to 2.6", "dfkde", Geometry((256, 256))),
        ("2.7", "fastflow", Geometry((256, 256))),
        ("2.7", "reverse_distillation", Geometry((256, 256))),
    ],
)
def test_only_patchcore_of_version_1_is_cropped(version, detector, geometry):
    default = default_of(version, detector)
    assert default.geometry == geometry
    assert default.mean == (0.485, 0.456, 0.406)
    assert default.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("version", ["1.2", "2.3 to 2.6", "2.7"])
def test_efficient_ad_scales_images_itself(version):
    default = default_of(version, "efficient_ad")
    assert default.geometry == Geometry((256, 256))
    assert (default.mean, default.std) == UNSCALED


@pytest.mark.parametrize(
    ("version", "detector"), [("2.7", "Stfpm"), ("3.0", "padim")]
)
def test_others_have_no_default(version, detector):
    assert default_of(version, detector) is None


def test_the_scaling_that_changes_nothing():
    assert UNSCALED == ((0, 0, 0), (1, 1, 1))
