"""The base class of invertible modules, and the lists of tensors that they take."""

import pytest
import torch

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.invertible import InvertibleModule
from anomedge.errors import InputError
from tests.components.flows.cases import block, dense


@pytest.mark.parametrize("conditions", [None, []])
def test_none_and_an_empty_list_are_no_conditions(conditions):
    block = AllInOneBlock([(4,)], conditions, subnet_constructor=dense)
    x = torch.randn(2, 4)
    assert torch.equal(block([x], conditions)[0][0], block(x)[0][0])
    assert InvertibleModule([(4,)], conditions).dims_c == []


def test_the_base_class_promises_and_does_nothing():
    module = InvertibleModule(torch.Size([32, 8]), torch.Size([32, 4]))
    with pytest.warns(DeprecationWarning, match="log_jacobian does nothing"):
        assert module.log_jacobian(torch.zeros(1), rev=True) is None
    with pytest.raises(NotImplementedError, match="forward"):
        module([torch.zeros(1)])
    with pytest.raises(NotImplementedError, match="output_dims"):
        module.output_dims([(4,)])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: block(4), "dims_in=4"),
        (lambda: block()([[1.0]]), "type list"),
        (lambda: block()("x"), "type str"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(wrong, match):
    with pytest.raises(InputError, match=match) as caught:
        wrong()
    assert "\n" not in str(caught.value)
