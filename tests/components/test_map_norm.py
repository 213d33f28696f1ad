"""Layer normalisation of maps: torch's function, and sums of many numbers in a runtime."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from anomedge import runtimes
from anomedge.components.map_norm import MapNorm
from tests.components.flows.cases import shaken
from tests.conftest import RUNTIMES


def test_it_is_the_function_of_torch_in_float64(float64):
    norm = shaken(MapNorm(3, 4, 5))
    x = 3 * torch.randn(2, 3, 4, 5) + 7
    expected = F.layer_norm(x, (3, 4, 5), norm.weight, norm.bias)
    torch.testing.assert_close(norm(x), expected, rtol=1e-12, atol=1e-12)


def test_its_tensors_are_those_of_torchs_layer():
    state = torch.nn.LayerNorm([3, 4, 5]).state_dict()
    MapNorm(3, 4, 5).load_state_dict(state, strict=True)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_keeps_the_digits_of_large_maps(runtime, tmp_path):
    norm = MapNorm(64, 64, 64).eval()
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(1, 64, 64, 64, generator=generator).relu() + 2
    program = torch.onnx.export(
        norm, (x,), dynamo=True, input_names=["x"], output_names=["y"],
        opset_version=18, verbose=False,
    )  # fmt: skip
    onnx.save(program.model_proto, tmp_path / "norm.onnx")
    expected = F.layer_norm(x.double(), (64, 64, 64)).numpy()
    with runtimes.open(tmp_path / "norm.onnx", runtime=runtime) as session:
        found = session.run({"x": x.numpy()})["y"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-6)
