"""What detectors with a bank share: patches of levels, sizes of banks, shared tensors."""

import pytest
import torch

from anomedge.errors import InputError
from anomedge.pipelines.banks import _concatenated
from anomedge.pipelines.patchcore import Patchcore
from tests.pipelines.levels import SIZE, fitted


def test_patches_are_levels_on_the_finest_grid():
    made, images = fitted(Patchcore, coreset=0.25)
    features = made.features(images[:1])
    levels = made.patches.levels(features)
    patches = made.patches(features)
    height, width = levels[0].shape[2:]
    assert made.patches.grid == (height, width)
    assert patches.shape == (1, height * width, 4 + 6)
    assert torch.equal(patches[0, 1, :4], levels[0][0, :, 0, 1])


def test_a_bank_shrinks_with_the_size():
    made, _ = fitted(Patchcore, coreset=0.5)
    half = made.config_with_size((SIZE[0] // 2, SIZE[1]))
    assert half.n_vectors == round(made.config.n_vectors / 2)


def test_the_int8_search_shares_the_other_tensors():
    made, images = fitted(Patchcore, coreset=0.5)
    twin = made.with_int8_search()
    assert twin.bank.half_norms is made.bank.half_norms
    assert "search/proven" in twin.stages(images[:1])
    assert "search/proven" not in made.stages(images[:1])


def test_no_picture_is_refused():
    from anomedge.pipelines.banks import _patch_rows
    from anomedge.pipelines.data import FitData

    made, _ = fitted(Patchcore, coreset=0.5)
    with pytest.raises(InputError, match="got no picture"):
        _patch_rows(made.patches, made.extractor, FitData([], size=SIZE))


def test_batches_are_concatenated_in_order_and_released():
    rows = [torch.full((n, 2), float(n)) for n in (1, 2, 3)]
    points = _concatenated(rows)
    assert points[:, 0].tolist() == [1, 2, 2, 3, 3, 3]
    assert rows == []
