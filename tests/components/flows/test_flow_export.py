"""Export of flow blocks: strict `torch.export`, and ONNX in every runtime.

By default over a cover of the grid that contains each pair of values of two
options. Slow tests add a daily part of the rest, see `tests.sampling`.
"""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from anomedge import runtimes
from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.sequence import SequenceINN
from anomedge.export.passes import Target
from anomedge.export.passes.lower_opset import LowerOpset
from anomedge.export.passes.name_batch import NameBatch
from anomedge.export.passes.strip_metadata import StripMetadata
from tests.components.flows.cases import (
    COVER,
    GRID,
    convolutions,
    dense,
    shaken,
)
from tests.conftest import RUNTIMES
from tests.sampling import part_of_grid

REST = [options for options in GRID if options not in COVER]
DAILY = [
    pytest.param(options, marks=pytest.mark.slow, id=str(options))
    for options in part_of_grid(REST, parts=8)
]
EVERY = [*(pytest.param(options, id=str(options)) for options in COVER), *DAILY]

OUTPUTS = ["z", "log_jacobian", "x_again", "log_jacobian_back"]


class BothWays(nn.Module):
    """A flow applied forward and reversed to the same x, as one graph."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def forward(self, x, *c):
        forward, backward = (
            self.flow(x, list(c)),
            self.flow(x, list(c), rev=True),
        )
        return tuple(
            part[0] if isinstance(part, tuple) else part
            for direction in (forward, backward)
            for part in direction
        )


def program_of(module, given, strict=True):
    batch = torch.export.Dim("batch", max=64)
    first, *rest = [{0: batch} for _ in given]
    # The conditions, *c, are one tuple.
    shapes = (first, tuple(rest)) if rest else (first,)
    return torch.export.export(
        module, tuple(given), dynamic_shapes=shapes, strict=strict
    )


def onnx_of(program, names):
    written = torch.onnx.export(
        program,
        (),
        dynamo=True,
        opset_version=18,
        input_names=names,
        output_names=OUTPUTS,
        verbose=False,
    )
    proto = written.model_proto
    for member in (LowerOpset, StripMetadata, NameBatch):
        member(Target(17, None, (1, 1))).apply(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def check_runtimes(module, program, given, path):
    """Run the program as ONNX in every runtime, at two batch sizes."""
    names = [f"i{i}" for i in range(len(given))]
    onnx.save(onnx_of(program, names), path)
    with torch.no_grad():
        expected = [module(*given), module(*(tensor[:1] for tensor in given))]
    for runtime in RUNTIMES:
        with runtimes.open(path, runtime=runtime) as session:
            for size, wanted in zip((len(given[0]), 1), expected, strict=True):
                produced = session.run(
                    {
                        name: t[:size].numpy()
                        for name, t in zip(names, given, strict=True)
                    }
                )
                for name, value in zip(OUTPUTS, wanted, strict=True):
                    scale = max(float(value.abs().max()), 1.0)
                    np.testing.assert_allclose(
                        produced[name], value.numpy(), rtol=0, atol=1e-5 * scale
                    )


@pytest.mark.parametrize("options", EVERY)
def test_block_exports_strictly_and_runs_in_every_runtime(options, tmp_path):
    module, given = BothWays(options.block()).eval(), options.tensors()
    program = program_of(module, given)
    exported = program.module()
    for size in (3, 1, 5):
        more = options.tensors(batch=size, seed=size)
        torch.testing.assert_close(
            exported(*more), module(*more), rtol=0, atol=1e-6
        )
    check_runtimes(module, program, given, tmp_path / "model.onnx")


@pytest.mark.parametrize("spatial", [(), (4, 5)], ids=["vectors", "images"])
def test_sequence_runs_in_every_runtime(spatial, tmp_path):
    torch.manual_seed(0)
    flow = SequenceINN(6, *spatial)
    build = {
        "subnet_constructor": convolutions if spatial else dense,
        "affine_clamping": 1.2,
    }
    flow.append(
        AllInOneBlock,
        cond=0,
        cond_shape=(3, *spatial),
        permute_soft=True,
        **build,
    )
    flow.append(AllInOneBlock, learned_householder_permutation=2, **build)
    given = [torch.randn(3, 6, *spatial), torch.randn(3, 3, *spatial)]
    module = BothWays(shaken(flow)).eval()
    program = program_of(module, given)
    check_runtimes(module, program, given, tmp_path / "model.onnx")


@pytest.mark.parametrize("strict", [True, False])
def test_frozen_permutation_is_one_product_in_the_graph(strict):
    torch.manual_seed(0)
    block = AllInOneBlock(
        [(4, 3, 3)],
        subnet_constructor=convolutions,
        learned_householder_permutation=5,
    )
    module = BothWays(shaken(block).eval())
    called = [
        str(node.target)
        for node in program_of(
            module, [torch.randn(2, 4, 3, 3)], strict
        ).graph.nodes
    ]
    # Two convolutions of the subnet and one of the permutation, forward and back.
    assert sum("conv2d" in target for target in called) == 6
    assert not any(
        "outer" in target or "mv" in target or "matmul" in target
        for target in called
    )


@pytest.mark.parametrize("strict", [True, False])
def test_vectors_changed_in_eval_mode_are_exported_with_their_new_values(
    strict,
):
    torch.manual_seed(0)
    block = shaken(
        AllInOneBlock(
            [(4,)], subnet_constructor=dense, learned_householder_permutation=2
        )
    ).eval()
    with torch.no_grad():
        block.vk_householder.add_(torch.randn(2, 4))
    x = torch.randn(3, 4)
    exported = program_of(BothWays(block), [x], strict).module()
    torch.testing.assert_close(
        exported(x), BothWays(block)(x), rtol=0, atol=1e-6
    )
    assert not torch.allclose(
        block.w_perm, block._construct_householder_permutation()
    )
