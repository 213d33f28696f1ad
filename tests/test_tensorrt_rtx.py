"""NVIDIA's own parser and builder, where the package installs; it builds on a CPU, without a GPU.

What passes here is evidence about NVIDIA's parser and type rules, not about TensorRT 8, 10 or 11.
"""

import subprocess
import sys

import pytest

pytest.importorskip("tensorrt_rtx")

# In a process of its own: a vendor's crash must not take the tests along.
BUILD = """
import sys
import tensorrt_rtx as trt

logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parser = trt.OnnxParser(network, logger)
if not parser.parse_from_file(sys.argv[1]):
    sys.exit("\\n".join(str(parser.get_error(i)) for i in range(parser.num_errors)))
profile = builder.create_optimization_profile()
height, width = int(sys.argv[2]), int(sys.argv[3])
profile.set_shape("frames", *((n, height, width, 3) for n in (1, 2, 8)))
config = builder.create_builder_config()
config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)
if plan is None:
    sys.exit("no engine was built")
print(plan.nbytes)
"""


@pytest.mark.parametrize("graph", ["model.onnx", "stages.onnx"])
def test_graphs_parse_and_build(bundle, graph):
    height, width = bundle.manifest.input.frame
    command = [sys.executable, "-c", BUILD, str(bundle.file(graph)), str(height), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) > 10_000
