"""Inputs of another dtype than the module's: statistics follow the input or the wider of the two; weights refuse it."""

import pytest
import torch
from torch import nn

from anomedge.components import PCA, SSPCAB, AllInOneBlock
from anomedge.errors import InputError
from tests.components.flows.cases import convolutions
from tests.components.test_laws import CASES, samples, values

WEIGHTS = {"sspcab", "reverse networks", "norm of maps"}
"""Components with weights in place of statistics."""

every_statistic = pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.formula and c.name not in WEIGHTS],
    ids=lambda case: case.name,
)


@every_statistic
def test_a_float64_input_is_computed_in_float64(case):
    module, x = case.make(True), case.inputs()
    for expected, produced in zip(
        values(module(x)), values(module(x.double())), strict=True
    ):
        assert produced.dtype == torch.float64
        torch.testing.assert_close(
            produced.float(),
            expected,
            rtol=1e-4,
            atol=1e-4 * float(expected.abs().max()),
        )


@every_statistic
def test_float64_statistics_take_a_float32_input(case):
    module, x = case.make(True).double(), case.inputs()
    expected = case.make(True)(x)
    for one, two in zip(values(module(x)), values(expected), strict=True):
        torch.testing.assert_close(
            one.float(), two, rtol=1e-4, atol=1e-4 * float(two.abs().max())
        )


@every_statistic
def test_integers_are_computed_in_the_modules_dtype(case):
    module, x = case.make(True), (10 * case.inputs()).long()
    for one, two in zip(
        values(module(x)), values(module(x.float())), strict=True
    ):
        assert torch.equal(one, two)


def test_coordinates_of_another_dtype_are_brought_back():
    pca = PCA(2)
    y = pca.fit_transform(samples())
    torch.testing.assert_close(
        pca.inverse_transform(y.double()), pca.inverse_transform(y).double()
    )
    assert torch.equal(
        pca.inverse_transform(y.long()), pca.inverse_transform(y.long().float())
    )


def flow(x, rev=False):
    block = AllInOneBlock([(8, 6, 6)], subnet_constructor=convolutions)
    return block([x], rev=rev)[0][0]


@pytest.mark.parametrize(
    "run",
    [flow, lambda x: flow(x, rev=True), lambda x: SSPCAB(8)(x)],
    ids=["flow", "flow reversed", "sspcab"],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64])
def test_weights_refuse_another_dtype_in_one_line(run, dtype):
    with pytest.raises(
        InputError, match=f"of {dtype}; expected torch.float32"
    ) as caught:
        run(torch.zeros(2, 8, 6, 6, dtype=dtype))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "run", [flow, lambda x: SSPCAB(8)(x)], ids=["flow", "sspcab"]
)
def test_autocast_converts_what_weights_would_refuse(run):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert run(torch.zeros(2, 8, 6, 6, dtype=torch.bfloat16)).shape == (
            2,
            8,
            6,
            6,
        )


def test_a_block_of_half_weights_takes_halves():
    block = AllInOneBlock([(4,)], subnet_constructor=nn.Linear).to(
        torch.bfloat16
    )
    assert (
        block([torch.zeros(2, 4, dtype=torch.bfloat16)])[0][0].dtype
        == torch.bfloat16
    )
