import pytest
import torch

from anomedge.components import SSPCAB
from anomedge.components.sspcab import AttentionModule
from anomedge.errors import InputError


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_place_is_predicted_from_the_four_patches_and_never_from_itself(
    kernel_size, dilation
):
    block = SSPCAB(1, kernel_size, dilation, reduction_ratio=1).requires_grad_(
        False
    )
    for parameter in block.parameters():
        parameter.fill_(1)
    x = torch.zeros(1, 1, 21, 21, requires_grad=True)
    # The attention sees the whole map; its gate is taken out of the question.
    block.attention_module = torch.nn.Identity()
    predicted = block(x)[0, 0, 10, 10]
    (seen,) = torch.autograd.grad(predicted, x)
    offsets = {dilation + 1 + step for step in range(kernel_size)}
    expected = torch.tensor(
        [
            [
                float(abs(i - 10) in offsets and abs(j - 10) in offsets)
                for j in range(21)
            ]
            for i in range(21)
        ]
    )
    assert torch.equal(seen[0, 0], expected)


def test_attention_is_squeeze_and_excitation():
    attention = AttentionModule(16, reduction_ratio=4)
    x = torch.rand(2, 16, 5, 6)
    squeezed = x.mean(dim=(2, 3))
    gate = torch.sigmoid(attention.fc2(torch.relu(attention.fc1(squeezed))))
    torch.testing.assert_close(attention(x), x * gate.reshape(2, 16, 1, 1))
    assert attention.fc1.weight.shape == (4, 16)


def test_parameters_have_the_names_others_store():
    names = [
        f"masked_conv{n}.{kind}"
        for n in (1, 2, 3, 4)
        for kind in ("weight", "bias")
    ]
    names += [
        f"attention_module.fc{n}.{kind}"
        for n in (1, 2)
        for kind in ("weight", "bias")
    ]
    assert list(SSPCAB(8).state_dict()) == names


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    block = SSPCAB(16, kernel_size=3, reduction_ratio=2)
    block(torch.randn(2, 16, 9, 9)).square().sum().backward()
    assert all(
        parameter.grad.abs().sum() > 0 for parameter in block.parameters()
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SSPCAB(4),
        lambda: SSPCAB(8, kernel_size=0),
        lambda: SSPCAB(8, dilation=0),
        lambda: SSPCAB(8, reduction_ratio=0),
        lambda: SSPCAB(0),
        lambda: SSPCAB(8)(torch.zeros(1, 7, 5, 5)),
        lambda: SSPCAB(8)(torch.zeros(8, 5, 5)),
    ],
)
def test_what_is_no_block_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
