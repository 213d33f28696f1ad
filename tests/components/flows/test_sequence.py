"""Sequences of flow blocks; FrEIA's own sequence is the independent definition."""

import math
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.sequence import SequenceINN
from anomedge.errors import InputError
from tests.components.flows.cases import block, convolutions, dense, shaken

with warnings.catch_warnings():
    # Its docstrings hold invalid escapes, which Python warns of when it compiles them for the first time.
    warnings.simplefilter("ignore")
    import FrEIA.framework
    import FrEIA.modules


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
    steps = [AllInOneBlock([(6,)], subnet_constructor=dense) for _ in "12"]
    inner = SequenceINN(6, force_tuple_output=force)
    for step in steps:
        inner.append(step)
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


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
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
