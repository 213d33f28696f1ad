"""Mean and standard deviation of the backbone's images, as given with --mean and --std."""

import pytest
import torch

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.features import FeatureOptions
from anomedge.pipelines.padim import Padim
from anomedge.pipelines.patchcore import Patchcore

BACKBONE = {"backbone": "test_efficientnet", "weights": "random"}


def fitted(kind, **options):
    torch.manual_seed(0)
    batches = [torch.rand(4, 3, 32, 32)]
    own = kind.options_class.checked(**BACKBONE, **options)
    return kind.fit(FitData(batches, size=(32, 32)), own)


@pytest.mark.parametrize("kind", [Padim, Patchcore])
def test_they_are_stored_and_applied(kind):
    plain = fitted(kind)
    scaled = fitted(kind, mean="0.1,0.2,0.3", std=(0.5, 0.25, 1))
    assert scaled.config.mean == (0.1, 0.2, 0.3)
    assert scaled.config.std == (0.5, 0.25, 1.0)
    assert plain.config.mean != scaled.config.mean
    images = torch.rand(1, 3, 32, 32)
    mean = torch.tensor((0.1, 0.2, 0.3)).reshape(1, 3, 1, 1)
    std = torch.tensor((0.5, 0.25, 1.0)).reshape(1, 3, 1, 1)
    expected = scaled.extractor((images - mean) / std)
    for name, found in scaled.features(images).items():
        assert torch.equal(found, expected[name])


def test_one_of_them_leaves_the_other():
    plain, scaled = fitted(Padim), fitted(Padim, std="0.5,0.5,0.5")
    assert scaled.config.mean == plain.config.mean
    assert scaled.config.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("mean", "0.5,0.5", "three numbers"),
        ("mean", (0.5,), "three numbers"),
        ("mean", "123.7,116.3,103.5", "less than or equal to 1"),
        ("mean", "a,b,c", "number"),
        ("mean", "nan,0,0", "0"),
        ("std", "0,0.2,0.2", "greater than"),
        ("std", "58.4,57.1,57.4", "less than or equal to 1"),
        ("std", "", "three numbers"),
    ],
)
def test_other_values_are_refused(name, value, match):
    with pytest.raises(InputError, match=match):
        FeatureOptions.checked(**{name: value})
