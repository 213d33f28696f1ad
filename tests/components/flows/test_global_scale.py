"""The global scale of a flow block and its inverse."""

import pytest
import torch

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.errors import InputError
from tests.components.flows.cases import block, dense


@pytest.mark.parametrize("kind", ["SIGMOID", "SOFTPLUS", "EXP"])
@pytest.mark.parametrize("start", [0.01, 1.0, 7.5])
def test_the_global_scale_starts_where_asked(kind, start, float64):
    block = AllInOneBlock(
        [(4,)],
        subnet_constructor=dense,
        global_affine_type=kind,
        global_affine_init=start,
    )
    torch.testing.assert_close(
        block.global_scale_activation(block.global_scale),
        torch.full((1, 4), start),
        rtol=1e-9,
        atol=0,
    )


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            lambda: block(global_affine_type="softplus"),
            "SIGMOID, SOFTPLUS, EXP",
        ),
        (lambda: block(global_affine_init=0.0), "global_affine_init=0.0"),
        (
            lambda: block(
                global_affine_init=10.0, global_affine_type="SIGMOID"
            ),
            "between 0 and 10",
        ),
        (
            lambda: block(global_affine_init=float("nan")),
            "global_affine_init=nan",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(wrong, match):
    with pytest.raises(InputError, match=match) as caught:
        wrong()
    assert "\n" not in str(caught.value)
