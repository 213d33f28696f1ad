"""The autoencoder of descriptions, beside torch's own upsampling, and its sizes."""

import pytest
import torch

from anomedge.components.description_autoencoder import DescriptionAutoencoder
from anomedge.components.patch_description import description_grid
from anomedge.errors import InputError
from tests.pipelines.descriptions import autoencoder


@pytest.mark.parametrize(
    ("size", "padding"), [((64, 100), False), ((256, 320), True)]
)
def test_it_is_the_formula_in_float64(float64, size, padding):
    torch.manual_seed(0)
    grid = description_grid(size, padding=padding)
    network = DescriptionAutoencoder(3, size, grid).eval()
    images = torch.randn(2, 3, *size)
    expected = autoencoder(network.state_dict(), images, padding)
    torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-12)


def test_it_drops_values_in_training_only():
    torch.manual_seed(0)
    network = DescriptionAutoencoder(3, (64, 64), (8, 8))
    images = torch.rand(1, 3, 64, 64)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_a_code_of_the_paper_has_64_numbers():
    with torch.device("meta"):
        network = DescriptionAutoencoder(3, (256, 256), (56, 56))
        code = network.encoder(torch.empty(1, 3, 256, 256))
    assert tuple(code.shape) == (1, 64, 1, 1)


def test_small_images_are_refused():
    with pytest.raises(InputError, match="at least 64x64"):
        DescriptionAutoencoder(3, (63, 64), (8, 8))
