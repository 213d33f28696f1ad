"""PatchCore: its bank, and the detectors that it suggests."""

import pytest
import torch
import torch.nn.functional as F

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.patchcore import Patchcore, PatchcoreOptions
from anomedge.resample import Geometry
from tests.pipelines.levels import LAYERS, SIZE, Levels, fitted


def test_patchcore_refuses_a_size_before_it_reads_pictures():
    class Unread:
        def __iter__(self):
            raise AssertionError("read")

    options = PatchcoreOptions(backbone="test_efficientnet", weights="random")
    with pytest.raises(InputError, match=r"got size\.0 = 4;"):
        Patchcore.fit(FitData(Unread(), size=(4, 64)), options)


def patches_of(made, images):
    """Averages over 3x3, and the coarse level upsampled, by torch."""
    fine, coarse = (
        F.avg_pool2d(x, 3, 1, 1) for x in made.features(images).values()
    )
    large = F.interpolate(coarse, size=fine.shape[2:], mode="bilinear")
    return torch.cat([fine, large], dim=1).flatten(2).transpose(1, 2)


def test_patches_are_those_of_the_paper():
    made, images = fitted(Patchcore)
    with torch.no_grad():
        found = made.patches(made.features(images))
        assert torch.allclose(found, patches_of(made, images), atol=1e-6)
    assert made.patches.grid == (8, 10)
    assert found.shape == (5, 80, 10)


def test_the_bank_holds_a_share_of_the_patches():
    made, images = fitted(Patchcore, coreset=0.25)
    assert made.config.n_vectors == 100
    stored = made.bank.vectors + made.bank.centre
    with torch.no_grad():
        rows = patches_of(made, images).flatten(0, 1)
    assert torch.cdist(stored, rows).amin(dim=1).max() < 1e-3


def test_within_a_region_only_its_patches_are_stored():
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[:, :20] = True
    made, images = fitted(Patchcore, inside=inside, coreset=1.0)
    assert made.config.masked
    assert made.config.n_vectors < 5 * 80
    with torch.no_grad():
        anomaly_map = made(images + 1).anomaly_map
    assert not anomaly_map[..., 20:].any()
    assert anomaly_map[..., :20].any()


def test_no_images_are_refused():
    own = PatchcoreOptions(backbone=Levels(), layers=LAYERS)
    with pytest.raises(InputError, match="got no picture; expected at least"):
        Patchcore.fit(FitData([], size=SIZE), own)


def test_half_of_the_bank_is_suggested_with_its_option():
    made, _ = fitted(Patchcore, coreset=0.25)
    *_, half = made.suggestions(Geometry(SIZE), 5)
    assert half.part == "distances"
    assert half.text == "Half of the bank (50 vectors, fit with --coreset 0.12)"
    assert half.config.n_vectors == 50
    # A region or tiles may leave more vectors than the pictures have patches.
    *_, half = made.suggestions(Geometry(SIZE), 1)
    assert half.text == "Half of the bank (50 vectors)"


def test_the_bank_of_smaller_images_has_fewer_vectors():
    made, _ = fitted(Patchcore, coreset=0.25)
    assert made.config_with_size((16, 40)).n_vectors == 50
    one = made.config.model_copy(update={"n_vectors": 1})
    assert len(list(Patchcore(one, made.extractor).suggestions(Geometry(SIZE), 5))) == 3  # fmt: skip


def test_the_default_upsampling_is_left_out_of_files():
    made, _ = fitted(Patchcore)
    assert "upsampling" not in made.config.model_dump()
    other = made.config.model_copy(update={"upsampling": "nearest"})
    assert other.model_dump()["upsampling"] == "nearest"


@pytest.mark.parametrize(
    "wrong", [{"coreset": 0.0}, {"coreset": 1.1}, {"neighbors": 0}, {"neighbors": 1025}]
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        PatchcoreOptions.checked(**wrong)
