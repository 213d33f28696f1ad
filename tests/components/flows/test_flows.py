"""Laws of flow blocks over the whole grid of options, and FrEIA 0.2 as the independent definition."""

import itertools
import math
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.invertible import InvertibleModule
from anomedge.components.flows.sequence import SequenceINN
from anomedge.errors import InputError
from tests.components.flows.cases import GRID, convolutions, dense, shaken

with warnings.catch_warnings():
    # Its docstrings hold invalid escapes, which Python warns of when it compiles them for the first time.
    warnings.simplefilter("ignore")
    import FrEIA.framework
    import FrEIA.modules


@pytest.fixture(autouse=True)
def one_thread():
    """Tensors of a few numbers gain nothing from a second thread and wait for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


def sequence(sequence_class, block_class, spatial=(), **more):
    flow = sequence_class(6, *spatial, **more)
    build = {
        "subnet_constructor": convolutions if spatial else dense,
        "affine_clamping": 1.2,
    }
    flow.append(
        block_class,
        cond=1,
        cond_shape=(2, *spatial),
        permute_soft=True,
        **build,
    )
    flow.append(block_class, gin_block=True, **build)
    flow.append(
        block_class,
        cond=0,
        cond_shape=(3, *spatial),
        learned_householder_permutation=2,
        **build,
    )
    return shaken(flow)


@pytest.mark.parametrize("spatial", [(), (3, 2)], ids=["vectors", "images"])
@pytest.mark.parametrize("force", [False, True])
def test_a_sequence_equals_freias_with_its_state(spatial, force):
    theirs = sequence(
        FrEIA.framework.SequenceINN,
        FrEIA.modules.AllInOneBlock,
        spatial,
        force_tuple_output=force,
    )
    ours = sequence(
        SequenceINN, AllInOneBlock, spatial, force_tuple_output=force
    ).double()
    ours.load_state_dict(theirs.double().state_dict(), strict=True)
    x, *c = (
        torch.randn(3, n, *spatial, dtype=torch.float64) for n in (6, 3, 2)
    )
    for rev in (False, True):
        torch.testing.assert_close(
            ours(x, c, rev=rev), theirs(x, c, rev=rev), rtol=0, atol=1e-6
        )
    assert ours.shapes == theirs.shapes
    assert ours.conditions == theirs.conditions


def test_a_sequence_is_invertible_with_autograds_determinant(float64):
    flow = sequence(SequenceINN, AllInOneBlock)
    x, c = torch.randn(1, 6), [torch.randn(1, 3), torch.randn(1, 2)]
    before = x.clone()
    z, log_jacobian = flow(x, c)
    again, back = flow([z], c, rev=True)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(back, -log_jacobian, rtol=0, atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow(x, c)[0], x
    ).reshape(6, 6)
    torch.testing.assert_close(
        log_jacobian[0],
        torch.linalg.slogdet(jacobian).logabsdet,
        rtol=0,
        atol=1e-9,
    )
    assert torch.equal(x, before)


def test_a_sequence_holds_its_blocks():
    flow = sequence(SequenceINN, AllInOneBlock)
    assert len(flow) == 3
    assert list(flow) == [flow[0], flow[1], flow[2]] == list(flow.module_list)
    assert flow.output_dims([(6,)]) == flow.output_dims() == [(6,)]
    ready = AllInOneBlock(flow.output_dims(), [(4,)], subnet_constructor=dense)
    flow.append(ready, cond=2)
    assert flow[-1] is ready
    x, c = torch.randn(2, 6), [torch.randn(2, n) for n in (3, 2, 4)]
    z, _ = flow(x, c)
    torch.testing.assert_close(flow(z, c, rev=True)[0], x, rtol=0, atol=1e-4)


class FrEIACase(NamedTuple):
    """A module of FrEIA 0.2 at a shape that it takes."""

    name: str
    shape: tuple[int, ...]
    options: dict | None = None
    condition: tuple[int, ...] | None = None

    def __str__(self):
        return "-".join(
            [
                self.name,
                "x".join(map(str, self.shape)),
                *(["c"] if self.condition else []),
            ]
        )

    def arguments(self):
        build = (
            {
                "subnet_constructor": convolutions
                if len(self.shape) > 1
                else dense
            }
            if self.couples
            else {}
        )
        return build | (self.options or {})

    @property
    def couples(self):
        return self.name.endswith(("Block", "OneSided", "AffineTransform"))

    def flow(self, sequence_class, ready=False):
        """A sequence of it alone; FrEIA draws permutations from numpy's state."""
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        module_class, flow = (
            getattr(FrEIA.modules, self.name),
            sequence_class(*self.shape),
        )
        if ready:
            dims_c = {"dims_c": [self.condition]} if self.condition else {}
            flow.append(
                module_class([self.shape], **dims_c, **self.arguments()),
                cond=0 if self.condition else None,
            )
        elif self.condition:
            flow.append(
                module_class,
                cond=0,
                cond_shape=self.condition,
                **self.arguments(),
            )
        else:
            flow.append(module_class, **self.arguments())
        return flow


COUPLINGS = (
    "NICECouplingBlock",
    "RNVPCouplingBlock",
    "GLOWCouplingBlock",
    "GINCouplingBlock",
    "AffineCouplingOneSided",
)
ROTATION = torch.linalg.qr(
    torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
)[0]
VECTOR, IMAGE = (8,), (8, 4, 4)
FREIAS = [
    *(
        FrEIACase(name, shape)
        for name in ("AllInOneBlock", *COUPLINGS)
        for shape in (VECTOR, IMAGE)
    ),
    *(
        FrEIACase(name, shape, condition=(3, *shape[1:]))
        for name in ("AllInOneBlock", *COUPLINGS, "ConditionalAffineTransform")
        for shape in (VECTOR, IMAGE)
    ),
    *(
        FrEIACase(name, shape)
        for name in (
            "ActNorm",
            "IResNetLayer",
            "InvAutoAct",
            "InvAutoActFixed",
            "InvAutoActTwoSided",
        )
        for shape in (VECTOR, IMAGE)
    ),
    *(
        FrEIACase(name, shape)
        for name in (
            "InvertibleSigmoid",
            "LearnedElementwiseScaling",
            "PermuteRandom",
            "Flatten",
        )
        for shape in (VECTOR, IMAGE)
    ),
    FrEIACase("HouseholderPerm", VECTOR, {"n_reflections": 2}),
    FrEIACase("HouseholderPerm", VECTOR, {"n_reflections": 2, "fixed": True}),
    FrEIACase("OrthogonalTransform", VECTOR),
    FrEIACase("FixedLinearTransform", VECTOR, {"M": ROTATION}),
    FrEIACase("Fixed1x1Conv", IMAGE, {"M": ROTATION}),
    FrEIACase("InvAutoFC", VECTOR),
    FrEIACase("InvAutoConv2D", IMAGE),
    *(
        FrEIACase(name, IMAGE)
        for name in (
            "IRevNetDownsampling",
            "IRevNetUpsampling",
            "HaarDownsampling",
            "HaarUpsampling",
        )
    ),
    FrEIACase("Reshape", IMAGE, {"output_dims": (4, 8, 4)}),
]
WITHOUT_A_CHAIN = {
    "Split",
    "SplitChannel",
    "Concat",
    "ConcatChannel",
    "GaussianMixtureModel",
    "InvertibleModule",
}


@pytest.mark.filterwarnings(
    "ignore:Invertible Autoencoder",
    "ignore:Deprecated. please use InvAutoAct",
    "ignore:Using non-full backward",
)
@pytest.mark.parametrize("ready", [False, True], ids=["class", "ready made"])
@pytest.mark.parametrize("case", FREIAS, ids=str)
def test_freias_modules_run_in_a_sequence_as_in_freias_own(case, ready):
    theirs, ours = (
        case.flow(FrEIA.framework.SequenceINN),
        case.flow(SequenceINN, ready),
    )
    assert ours.shapes == [tuple(shape) for shape in theirs.shapes]
    x = torch.randn(3, *case.shape, generator=torch.Generator().manual_seed(1))
    conditions = ([torch.ones(3, *case.condition)],) if case.condition else ()
    for rev in (False, True):
        expected, expected_jacobian = estimated(theirs, x, *conditions, rev=rev)
        z, log_jacobian = estimated(ours, x, *conditions, rev=rev)
        assert torch.equal(z, expected)
        assert torch.equal(
            log_jacobian,
            torch.as_tensor(expected_jacobian)
            .expand_as(log_jacobian)
            .to(log_jacobian),
        )
        x = expected.detach()


def estimated(flow, x, *conditions, rev):
    """IResNetLayer draws for its log-Jacobian; some of FrEIA's modules write to their input."""
    torch.manual_seed(2)
    return flow(x.clone(), *conditions, rev=rev)


def test_no_module_of_freia_is_left_out():
    modules = {
        name
        for name in FrEIA.modules.__all__
        if isinstance(getattr(FrEIA.modules, name), type)
    }
    assert modules == {case.name for case in FREIAS} | WITHOUT_A_CHAIN


@pytest.mark.filterwarnings("ignore:deprecated_class is deprecated")
@pytest.mark.parametrize("name", ["Split", "SplitChannel"])
def test_a_block_that_branches_is_refused(name):
    with pytest.raises(InputError, match="2 outputs; expected one"):
        SequenceINN(8, 4, 4).append(getattr(FrEIA.modules, name))


def test_one_log_jacobian_for_all_items_is_one_each():
    flow = SequenceINN(8, 4, 4)
    flow.append(FrEIA.modules.Fixed1x1Conv, M=2 * torch.eye(8))
    _, log_jacobian = flow(torch.zeros(3, 8, 4, 4))
    torch.testing.assert_close(
        log_jacobian, torch.full((3,), 16 * 8 * math.log(2))
    )


@pytest.mark.parametrize("outer", [SequenceINN, FrEIA.framework.SequenceINN])
@pytest.mark.parametrize("force", [False, True])
def test_a_sequence_within_a_sequence(outer, force):
    whole = outer(6)
    blocks = [AllInOneBlock([(6,)], subnet_constructor=dense) for _ in "12"]
    inner = SequenceINN(6, force_tuple_output=force)
    for block in blocks:
        inner.append(block)
    if outer is not SequenceINN and not force:
        pytest.skip("FrEIA's takes a tensor for a tuple")
    whole.append((lambda _: inner) if outer is not SequenceINN else inner)
    x = torch.randn(3, 6)
    torch.testing.assert_close(
        whole(x), inner(x) if not force else (inner(x)[0][0], inner(x)[1])
    )


def test_our_blocks_run_in_freias_sequence_and_graph():
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    theirs = sequence(FrEIA.framework.SequenceINN, AllInOneBlock)
    ours = sequence(SequenceINN, AllInOneBlock)
    ours.load_state_dict(theirs.state_dict())
    x, c = torch.randn(3, 6), [torch.randn(3, 3), torch.randn(3, 2)]
    torch.testing.assert_close(theirs(x, c), ours(x, c))
    torch.testing.assert_close(theirs(x, c, rev=True), ours(x, c, rev=True))
    source = FrEIA.framework.InputNode(6)
    node = FrEIA.framework.Node(
        source, AllInOneBlock, {"subnet_constructor": dense}
    )
    graph = FrEIA.framework.GraphINN(
        [source, node, FrEIA.framework.OutputNode(node)]
    )
    z, log_jacobian = graph(x)
    again, back = graph(z, rev=True)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-4)
    torch.testing.assert_close(back, -log_jacobian)


def test_output_dims_need_no_block():
    assert AllInOneBlock.output_dims([(4, 2, 2)]) == [(4, 2, 2)]


def test_an_empty_sequence_is_the_identity():
    x = torch.randn(3, 4)
    z, log_jacobian = SequenceINN(4)(x)
    assert torch.equal(z, x)
    assert torch.equal(log_jacobian, torch.zeros(3))


def test_a_block_that_fails_to_build_leaves_the_sequence_as_it_was():
    flow = SequenceINN(4)
    with pytest.raises(InputError, match="subnet_constructor"):
        flow.append(AllInOneBlock)
    assert (len(flow), flow.conditions, flow.shapes) == (0, [], [(4,)])


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


def block(dims_in=((4, 2, 2),), dims_c=None, **more):
    return AllInOneBlock(
        dims_in, dims_c, **({"subnet_constructor": convolutions} | more)
    )


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: block(4), "dims_in=4"),
        (lambda: block([4]), r"give \[\(C,\)\]"),
        (lambda: block([(4.5,)]), r"give \[\(C,\)\]"),
        (lambda: block([(0,)]), r"give \[\(C,\)\]"),
        (lambda: block([(4,), (4,)]), "one shape"),
        (lambda: block([()]), "1 to 4 axes"),
        (lambda: block([(4, 2, 2, 2, 2)]), "1 to 4 axes"),
        (lambda: block([(1, 2, 2)]), "at least 2"),
        (lambda: block(dims_c=[(1, 2, 3)]), "same sizes"),
        (lambda: block(dims_c=[(1, 2, 2), (1,)]), "same sizes"),
        (lambda: block(subnet_constructor=None), "subnet_constructor=None"),
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
        (lambda: block(affine_clamping=-1.0), "affine_clamping=-1.0"),
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
        (lambda: block()([[1.0]]), "type list"),
        (lambda: block()("x"), "type str"),
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
            lambda: block(subnet_constructor=lambda i, o: nn.Conv2d(i, o, 2))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            "from the subnet",
        ),
        (
            lambda: block(subnet_constructor=lambda i, o: nn.Conv2d(i, 3, 1))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            "from the subnet",
        ),
        (
            lambda: block([(18, 8)], subnet_constructor=nn.Linear)(
                [torch.zeros(3, 18, 8)]
            ),
            r"a subnet that fails on \(3, 9, 8\) \(mat1 .*; expected one that gives \(3, 18, 8\)",
        ),
        (
            lambda: block([(18, 9)], subnet_constructor=nn.Linear)(
                [torch.zeros(3, 18, 9)]
            ),
            r"got \(3, 9, 18\) from the subnet for \(3, 9, 9\); expected \(3, 18, 9\)",
        ),
        (
            lambda: block([(4,)])([torch.zeros(1, 4)]),
            r"fails on \(1, 2\) .*expected one that gives \(1, 4\)",
        ),
        (
            lambda: block(
                subnet_constructor=lambda i, _: nn.Conv2d(i + 1, 4, 1)
            )([torch.zeros(1, 4, 2, 2)]),
            r"fails on \(1, 2, 2, 2\) .*expected one that gives \(1, 4, 2, 2\)",
        ),
        (
            lambda: block(subnet_constructor=lambda i, _: nn.BatchNorm1d(i))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            "fails on .*expected 2D or 3D input",
        ),
        (
            lambda: block(subnet_constructor=lambda *_: nn.Flatten())(
                [torch.zeros(1, 4, 2, 2)]
            ),
            r"got \(1, 8\) from the subnet",
        ),
        (
            lambda: block(subnet_constructor=lambda *_: nn.Flatten(0, 1))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            r"got \(2, 2, 2\) from the subnet",
        ),
        (
            lambda: block(
                subnet_constructor=lambda *_: (
                    lambda x: torch.cat([x, x], dim=1)[:1]
                )
            )([torch.zeros(3, 4, 2, 2)]),
            r"got \(1, 4, 2, 2\) from the subnet .*expected \(3, 4, 2, 2\)",
        ),
        (
            lambda: block(subnet_constructor=lambda *_: lambda x: (x, x))(
                [torch.zeros(3, 4, 2, 2)]
            ),
            "got tuple from the subnet",
        ),
        (
            lambda: block([(18, 8)], subnet_constructor=nn.Linear)(
                [torch.zeros(3, 18, 8)], rev=True
            ),
            r"expected one that gives \(3, 18, 8\)",
        ),
        (
            lambda: SequenceINN(4).append(nn.Linear(4, 4)),
            "Linear without dims_in, dims_c, output_dims",
        ),
        (
            lambda: SequenceINN(8, 4, 4).append(
                FrEIA.modules.ActNorm([(8, 2, 2)])
            ),
            r"a block for \[\(8, 2, 2\)\]",
        ),
        (
            lambda: SequenceINN(8, 4, 4).append(
                FrEIA.modules.HaarUpsampling([(8, 2, 2)])
            ),
            r"a block for \[\(2, 4, 4\)\]",
        ),
        (
            lambda: SequenceINN(5).append(SequenceINN(4)),
            r"expected one for \[\(5,\)\]",
        ),
        (lambda: SequenceINN(), "expected sizes"),
        (lambda: SequenceINN(4, 0), "expected sizes"),
        (lambda: SequenceINN((4,)), "expected sizes"),
        (
            lambda: SequenceINN(4).append(
                AllInOneBlock, cond=0, subnet_constructor=dense
            ),
            "cond_shape=None",
        ),
        (
            lambda: SequenceINN(4).append(
                AllInOneBlock,
                cond=-1,
                cond_shape=(1,),
                subnet_constructor=dense,
            ),
            "cond=-1",
        ),
        (
            lambda: SequenceINN(5).append(block([(4,)])),
            r"expected one for \[\(5,\)\]",
        ),
        (lambda: SequenceINN(4).append(block([(4,)], [(2,)])), "cond=None"),
        (
            lambda: SequenceINN(4).append(block([(4,)]), permute_soft=True),
            "permute_soft",
        ),
        (lambda: SequenceINN(4)([torch.zeros(1, 4)] * 2), "got 2 inputs"),
        (lambda: SequenceINN(4).output_dims([(5,)]), "as constructed"),
        (
            lambda: sequence(SequenceINN, AllInOneBlock)(
                torch.zeros(1, 6), [torch.zeros(1, 3)]
            ),
            "expected at least 2",
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
