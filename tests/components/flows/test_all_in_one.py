"""Laws of flow blocks over the whole grid of options, and FrEIA 0.2 as the independent definition."""

import itertools
import warnings

import pytest
import safetensors.torch
import torch
from torch import nn

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.errors import InputError
from tests.components.flows.cases import GRID, block, convolutions, shaken

with warnings.catch_warnings():
    # Its docstrings hold invalid escapes, which Python warns of when it compiles them for the first time.
    warnings.simplefilter("ignore")
    import FrEIA.framework
    import FrEIA.modules


every_option = pytest.mark.parametrize("options", GRID, ids=str)


@every_option
def test_the_reverse_undoes_the_forward(options, float64):
    block = options.block()
    x, *c = options.tensors()
    (z,), log_jacobian = block([x], c)
    (again,), back = block([z], c, rev=True)
    assert log_jacobian.shape == back.shape == (3,)
    assert not torch.allclose(z, x, atol=0.1)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(back, -log_jacobian, rtol=0, atol=1e-9)
    if options.gin:
        assert not log_jacobian.any()


@every_option
def test_log_jacobian_is_autograds_determinant(options, float64):
    block = options.block()
    for rev in (False, True):
        x, *c = (tensor[:1] for tensor in options.tensors())
        jacobian = torch.func.jacrev(lambda x: block([x], c, rev=rev)[0][0])(x)  # noqa: B023
        expected = torch.linalg.slogdet(
            jacobian.reshape(x.numel(), x.numel())
        ).logabsdet
        torch.testing.assert_close(
            block([x], c, rev=rev)[1][0], expected, rtol=0, atol=1e-9
        )


@every_option
def test_a_batch_is_its_items_and_no_tensor_is_written_to(options, float64):
    block = options.block()
    given = options.tensors()
    before = [tensor.clone() for tensor in given]
    for rev in (False, True):
        (together,), log_jacobian = block(given[:1], given[1:], rev=rev)
        alone = [
            block([x], c, rev=rev)
            for x, *c in zip(
                *(tensor.split(1) for tensor in given), strict=True
            )
        ]
        torch.testing.assert_close(
            together, torch.cat([z for (z,), _ in alone]), rtol=0, atol=1e-12
        )
        torch.testing.assert_close(
            log_jacobian, torch.cat([j for _, j in alone]), rtol=0, atol=1e-12
        )
    assert all(
        torch.equal(now, then) for now, then in zip(given, before, strict=True)
    )


@every_option
def test_state_round_trips_into_a_fresh_block(options, tmp_path):
    block, other = options.block().eval(), options.block(seed=7).eval()
    x, *c = options.tensors()
    assert not torch.equal(block([x], c)[0][0], other([x], c)[0][0])
    safetensors.torch.save_file(
        block.state_dict(), tmp_path / "block.safetensors"
    )
    other.load_state_dict(
        safetensors.torch.load_file(tmp_path / "block.safetensors")
    )
    for rev in (False, True):
        (ours,), log_jacobian = block([x], c, rev=rev)
        (theirs,), again = other([x], c, rev=rev)
        assert torch.equal(ours, theirs)
        assert torch.equal(log_jacobian, again)


@every_option
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_equals_freia_with_its_state(options, mode):
    theirs = options.block(FrEIA.modules.AllInOneBlock).double()
    ours = options.block(seed=7).double()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }
    ours.train(mode == "train")
    x, *c = (tensor.double() for tensor in options.tensors())
    for rev in (False, True):
        (expected,), expected_jacobian = theirs([x], c, rev=rev)
        (z,), log_jacobian = ours([x], c, rev=rev)
        torch.testing.assert_close(z, expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(
            log_jacobian, expected_jacobian, rtol=0, atol=1e-6
        )


@every_option
def test_every_parameter_learns(options):
    block = options.block()
    x, *c = options.tensors()
    (z,), log_jacobian = block([x], c)
    (z.square().sum() - log_jacobian.sum()).backward()
    idle = {
        name
        for name, parameter in block.named_parameters()
        if parameter.grad is None
    }
    assert idle == ({"global_scale"} if options.gin else set())
    assert all(
        torch.isfinite(p.grad).all()
        for p in block.parameters()
        if p.grad is not None
    )


@pytest.mark.parametrize(
    "spatial", [(4,), (2, 3, 2)], ids=["sequence", "volume"]
)
def test_one_and_three_spatial_axes(spatial):
    def pointwise(channels_in, channels_out):
        return (nn.Conv1d if len(spatial) == 1 else nn.Conv3d)(
            channels_in, channels_out, 1
        )

    theirs = shaken(
        FrEIA.modules.AllInOneBlock(
            [(4, *spatial)], subnet_constructor=pointwise
        )
    ).double()
    ours = AllInOneBlock([(4, *spatial)], subnet_constructor=pointwise).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, *spatial, dtype=torch.float64)
    torch.testing.assert_close(ours([x]), theirs([x]), rtol=0, atol=1e-6)


def test_other_sizes_of_images_are_mapped_and_counted(float64):
    block = shaken(AllInOneBlock([(4, 8, 8)], subnet_constructor=convolutions))
    x = torch.randn(1, 4, 2, 3)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: block([x])[0][0], x
    ).reshape(24, 24)
    torch.testing.assert_close(
        block([x])[1][0],
        torch.linalg.slogdet(jacobian).logabsdet,
        rtol=0,
        atol=1e-9,
    )


def test_a_subnet_that_writes_to_its_input_writes_to_its_own():
    def in_place(channels_in, channels_out):
        return nn.Sequential(
            nn.ReLU(inplace=True), nn.Linear(channels_in, channels_out)
        )

    block = shaken(AllInOneBlock([(6,)], subnet_constructor=in_place))
    x = torch.randn(4, 6)
    before = x.clone()
    (z,), _ = block([x])
    assert torch.equal(x, before)
    torch.testing.assert_close(block([z], rev=True)[0][0], x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("reflections", [0, 2])
def test_an_anomalib_state_loads(reflections):
    """The names and shapes that anomalib 2.7's AllInOneBlock registers for FastFlow's [(8, 4, 4)], written out."""
    generator = torch.Generator().manual_seed(0)
    w = torch.eye(8)[torch.randperm(8, generator=generator)]
    state = {
        "global_scale": torch.randn(1, 8, 1, 1, generator=generator),
        "global_offset": torch.randn(1, 8, 1, 1, generator=generator),
        "subnet.weight": torch.randn(8, 4, 1, 1, generator=generator),
        "subnet.bias": torch.randn(8, generator=generator),
    }
    if reflections:
        state |= {
            "vk_householder": torch.randn(reflections, 8, generator=generator),
            "w_0": w,
        }
    else:
        state |= {
            "w_perm": w.reshape(8, 8, 1, 1),
            "w_perm_inv": w.T.reshape(8, 8, 1, 1),
        }

    block = AllInOneBlock(
        [(8, 4, 4)],
        subnet_constructor=lambda i, o: nn.Conv2d(i, o, 1),
        learned_householder_permutation=reflections,
    ).eval()
    block.load_state_dict(state, strict=True)
    x = torch.randn(2, 8, 4, 4, generator=generator)
    (z,), _ = block([x])
    torch.testing.assert_close(block([z], rev=True)[0][0], x, rtol=0, atol=1e-4)
    scale = 0.1 * nn.functional.softplus(state["global_scale"], beta=0.5)
    a = 0.1 * nn.functional.conv2d(
        x[:, :4], state["subnet.weight"], state["subnet.bias"]
    )
    u = torch.cat(
        [x[:, :4], x[:, 4:] * torch.exp(2 * torch.tanh(a[:, :4])) + a[:, 4:]],
        dim=1,
    )
    mixing = w.double()
    for v in state.get("vk_householder", torch.zeros(0, 8)).double():
        mixing = mixing @ (
            torch.eye(8, dtype=torch.float64) - 2 * torch.outer(v, v) / (v @ v)
        )
    expected = torch.einsum(
        "ij,bjhw->bihw", mixing.float(), u * scale + state["global_offset"]
    )
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-4)


def test_output_dims_need_no_block():
    assert AllInOneBlock.output_dims([(4, 2, 2)]) == [(4, 2, 2)]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            lambda: block(learned_householder_permutation=-1),
            "permutation=-1; expected a whole number >= 0",
        ),
        (
            lambda: block()([torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)]),
            "got 2 inputs",
        ),
        (
            lambda: block()([torch.zeros(1, 3, 2, 2)]),
            r"expected \(batch, \*\(4, 2, 2\)\)",
        ),
        (lambda: block()([torch.zeros(1, 4)]), r"expected \(batch"),
        (
            lambda: block()(
                [torch.zeros(1, 4, 2, 2)], [torch.zeros(1, 4, 2, 2)]
            ),
            "got 1 conditions; expected 0",
        ),
        (
            lambda: block(dims_c=[(1, 2, 2)])([torch.zeros(1, 4, 2, 2)]),
            "got 0 conditions; expected 1",
        ),
        (
            lambda: block(dims_c=[(1, 2, 2)])(
                [torch.zeros(2, 4, 2, 2)], [torch.zeros(1, 1, 2, 2)]
            ),
            r"expected \(2, 1, 2, 2\)",
        ),
        (
            lambda: block([(4,)])([torch.zeros(1, 4)]),
            r"fails on \(1, 2\) .*expected one that gives \(1, 4\)",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(wrong, match):
    with pytest.raises(InputError, match=match) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_the_grid_is_whole():
    assert (
        len(GRID)
        == len(set(GRID))
        == len(list(itertools.product(range(3), *[range(2)] * 6)))
    )
