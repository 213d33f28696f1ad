"""Numbers that components are built with: Python's, numpy's and 0-dim tensors alike; bools and text are none."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from anomedge.components import (
    PCA,
    SSPCAB,
    AllInOneBlock,
    GaussianBlur2d,
    KCenterGreedy,
    MemoryBank,
    MultiVariateGaussian,
    RunningMoments,
    SequenceINN,
    SparseRandomProjection,
)
from anomedge.components.scalars import number, real, seed, sizes, whole
from anomedge.components.sspcab import AttentionModule
from anomedge.errors import InputError

POINTS = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


def flow_block(channels, reflections):
    block = AllInOneBlock(
        [(channels,)],
        subnet_constructor=nn.Linear,
        learned_householder_permutation=reflections,
    )
    return block.in_channels, block.householder


def sequence(size, cond):
    flow = SequenceINN(size)
    flow.append(
        AllInOneBlock,
        cond=cond,
        cond_shape=(size,),
        subnet_constructor=nn.Linear,
    )
    return flow.shapes, flow.conditions


WHOLE = {
    "PCA": lambda n: PCA(n).n_components,
    "projection's seed": lambda n: (
        SparseRandomProjection(0.9, n).fit(POINTS).sparse_random_matrix.tolist()
    ),
    "coreset's seed": lambda n: KCenterGreedy(
        POINTS, 0.5, seed=n
    ).select_coreset_idxs(),
    "coreset's rows": lambda n: KCenterGreedy(POINTS, 0.5).select_coreset_idxs(
        [n]
    ),
    "bank": lambda n: [
        tuple(buffer.shape) for buffer in MemoryBank(n, n, n).buffers()
    ],
    "bank of levels": lambda n: MemoryBank(4, [n, 2]).widths,
    "gaussian": lambda n: MultiVariateGaussian(n, n).mean.shape,
    "moments": lambda n: RunningMoments(n, n).mean.shape,
    "blur": lambda n: (
        GaussianBlur2d(kernel_size=n, sigma=1.5, channels=n).kernel.shape
    ),
    "sspcab": lambda n: SSPCAB(n, n, n, n).crop,
    "attention": lambda n: AttentionModule(n, n).fc1.weight.shape,
    "flow block": lambda n: flow_block(n, n),
    "sequence": lambda n: sequence(n, n),
}
REAL = {
    "PCA": lambda x: PCA(x).n_components,
    "projection": lambda x: SparseRandomProjection(x).eps,
    "min dim": lambda x: SparseRandomProjection.johnson_lindenstrauss_min_dim(
        100, x
    ),
    "coreset": lambda x: KCenterGreedy(POINTS, x).coreset_size,
    "blur": lambda x: GaussianBlur2d(
        kernel_size=3, sigma=x, channels=1
    ).kernel.tolist(),
    "flow's clamp": lambda x: (
        AllInOneBlock(
            [(4,)], subnet_constructor=nn.Linear, affine_clamping=x
        ).clamp
    ),
    "flow's scale": lambda x: (
        AllInOneBlock(
            [(4,)], subnet_constructor=nn.Linear, global_affine_init=x
        ).global_scale
    ),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "form",
    [np.int64, np.uint8, np.array, torch.tensor],
    ids=lambda form: form.__name__,
)
def test_whole_numbers_of_any_kind_mean_the_same(name, form):
    assert WHOLE[name](form(3)) == WHOLE[name](3)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "wrong",
    [
        True,
        np.bool_(True),
        torch.tensor(True),
        "3",
        2.5,
        torch.tensor(2.5),
        np.float32(2.5),
        3j,
        None,
    ],
)
def test_what_is_no_whole_number_is_refused_in_one_line(name, wrong):
    may_be_none = {"projection's seed", "gaussian", "sequence"}
    if wrong is None and name in may_be_none:
        pytest.skip("None has a meaning there")
    with pytest.raises(InputError, match="expected") as caught:
        WHOLE[name](wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(
    "form",
    [np.float64, np.array, lambda x: torch.tensor(x, dtype=torch.float64)],
)
def test_real_numbers_of_any_kind_mean_the_same(name, form):
    expected, produced = REAL[name](0.5), REAL[name](form(0.5))
    assert type(produced) is type(expected)
    assert torch.equal(torch.as_tensor(produced), torch.as_tensor(expected))


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(
    "wrong",
    [True, np.bool_(True), torch.tensor(True), "0.5", 0.5j, torch.ones(2, 3)],
)
def test_what_is_no_number_is_refused_in_one_line(name, wrong):
    with pytest.raises(InputError, match="expected") as caught:
        REAL[name](wrong)
    assert "\n" not in str(caught.value)


def test_numbers_keep_their_kind():
    for given in (2, np.int32(2), np.array(2), torch.tensor(2)):
        assert (number(given, "n"), type(number(given, "n"))) == (2, int)
        assert (real(given, "n"), type(real(given, "n"))) == (2.0, float)
    for given in (2.0, np.float16(2), np.array(2.0), torch.tensor(2.0)):
        assert (number(given, "n"), type(number(given, "n"))) == (2.0, float)
    assert math.isnan(real(torch.nan, "n"))
    assert (
        sizes(torch.Size([2, 3]))
        == sizes(np.array([2, 3]))
        == sizes(torch.tensor([2, 3]))
        == (2, 3)
    )


def test_bounds():
    assert whole(0, "n", least=0) == 0
    assert whole(-5, "n", least=None) == -5
    assert seed(-(2**63), "n"), seed(2**64 - 1, "n")
    for wrong in (-(2**63) - 1, 2**64):
        with pytest.raises(InputError, match="expected a seed"):
            seed(wrong, "n")
    with pytest.raises(InputError, match=r"got n=Tensor of shape \(2, 2\)"):
        whole(torch.ones(2, 2, dtype=torch.int64), "n")
