"""`torch.jit.script` of the components whose originals in anomalib 2.7 script; the others' do not either."""

import io

import pytest
import torch

from anomedge.components import PCA, SSPCAB, GaussianBlur2d, GaussianKDE
from anomedge.components.sspcab import AttentionModule
from tests.components.test_laws import fit_if, queries

IMAGES = torch.rand(2, 4, 9, 8, generator=torch.Generator().manual_seed(0))

MODULES = {
    "PCA": (lambda: fit_if(True, PCA(3)), queries),
    "PCA of a share": (lambda: fit_if(True, PCA(0.9)), queries),
    "GaussianKDE": (lambda: fit_if(True, GaussianKDE()), queries),
    "GaussianBlur2d": (lambda: GaussianBlur2d(5, 1.5, 4), lambda: IMAGES),
    "GaussianBlur2d, valid": (
        lambda: GaussianBlur2d(5, 1.5, 4, padding="valid"),
        lambda: IMAGES,
    ),
    "SSPCAB": (
        lambda: SSPCAB(4, reduction_ratio=2).requires_grad_(False),
        lambda: IMAGES,
    ),
    "AttentionModule": (
        lambda: AttentionModule(4, 2).requires_grad_(False),
        lambda: IMAGES,
    ),
}


@pytest.mark.filterwarnings(
    "ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning"
)
@pytest.mark.parametrize("name", MODULES)
def test_scripted_saved_and_loaded_it_gives_the_same(name):
    make, inputs = MODULES[name]
    module, x = make(), inputs()
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    scripted = torch.jit.load(file)
    torch.testing.assert_close(scripted(x), module(x))
