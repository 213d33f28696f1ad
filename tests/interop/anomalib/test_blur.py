"""The blur of a file: a Gaussian of sigma 4, or the import is refused."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib.blur import refuse_other_blur
from tests.interop.anomalib.builder import blur_kernel
from tests.interop.anomalib.files import foreign

NAME = "anomaly_map_generator.blur.kernel"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_anomalibs_kernel_is_accepted(dtype):
    refuse_other_blur(foreign({NAME: blur_kernel().to(dtype)}))


def test_a_file_need_not_hold_its_kernel():
    refuse_other_blur(foreign())


def gaussian(sigma):
    t = torch.arange(33.0) - 16
    row = torch.exp(-0.5 * (t / sigma) ** 2)
    kernel = torch.outer(row, row)
    return (kernel / kernel.sum())[None, None]


@pytest.mark.parametrize(
    "kernel",
    [gaussian(4.1), gaussian(3.9), blur_kernel()[..., 1:-1, 1:-1], blur_kernel()[0], 2 * blur_kernel()],
    ids=["wider", "narrower", "smaller", "flat", "brighter"],
)  # fmt: skip
def test_other_kernels_are_refused(kernel):
    with pytest.raises(ModelError, match="no Gaussian of sigma 4; expected"):
        refuse_other_blur(foreign({NAME: kernel}))
