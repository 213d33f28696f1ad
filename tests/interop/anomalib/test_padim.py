"""PaDiM of anomalib: statistics that fit each other and the images."""

import pytest
import torch

from anomedge.errors import InputError
from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder
from tests.interop.anomalib.refusing import refused


@pytest.mark.parametrize("key", ["gaussian.mean", "idx"])
def test_an_unfitted_padim_is_refused(key, tmp_path):
    state = builder.model_state("padim") | {key: torch.empty(0)}
    content = builder.checkpoint_27("padim", state)
    refused(content, tmp_path, f"empty tensor {key}")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"idx": torch.arange(12) + 181}, "below 192"),
        ({"idx": torch.arange(12) // 2}, "different ones"),
        ({"idx": torch.arange(12.0)}, "expected int64"),
        ({"idx": torch.arange(11)}, r"expected \(d,\)"),
        ({"gaussian.mean": torch.rand(12, 95)}, r"expected \(d,\)"),
        (
            {"gaussian.inv_covariance": -torch.eye(12).repeat(96, 1, 1)},
            "not positive definite",
        ),
        (
            {"anomaly_map_generator.blur.kernel": torch.rand(1, 1, 33, 33)},
            "Gaussian of sigma 4",
        ),
    ],
)
def test_statistics_that_do_not_fit_are_refused(changed, match, tmp_path):
    state = builder.model_state("padim") | changed
    refused(builder.checkpoint_27("padim", state), tmp_path, match)


def test_a_size_without_the_patches_of_the_file_is_refused(tmp_path):
    config = {"transform": None}
    path = builder.saved(
        builder.checkpoint_27("padim", config=config), tmp_path
    )
    with pytest.raises(InputError, match="expected 96"):
        import_native(path, size=(64, 64))
