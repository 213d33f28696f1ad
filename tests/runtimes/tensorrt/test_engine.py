"""An engine depends on facts; any change of them builds it again."""

import json
import shutil

import pytest

from anomedge.runtimes import GraphFile
from tests.runtimes.tensorrt.engines import opened


def test_the_record_says_what_the_engine_depends_on(new, graph, tmp_path):
    opened(graph())
    (path,) = (tmp_path / "model.onnx.engines").glob("*.engine")
    record = json.loads((path.parent / f"{path.name}.json").read_text())
    assert record["fingerprint"] == {
        "batches": [1, 1, 8],
        "device": {
            "gpu": "Fake GPU", "compute_capability": "8.7", "multiprocessors": "0", "driver": "CUDA 12.6, 540.4.0",
        },
        "graph": GraphFile(tmp_path / "model.onnx").load().digests,
        "options": {
            "dla": None, "hardware_compatible": False, "tf32": False, "version_compatible": False, "workspace": None,
        },
        "rules": 1,
        "version": new.__version__,
    }  # fmt: skip
    assert record["bytes"] == path.stat().st_size
    assert len(record["sha256"]) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda machine, trt: machine.gpus(
            "Fake GPU", driver="CUDA 12.6, 541.0.0"
        ),
        lambda machine, trt: machine.gpus("Other GPU"),
        lambda machine, trt: machine.gpus("Fake GPU", capability=(8, 9)),
        lambda machine, trt: setattr(trt, "__version__", "10.99.0"),
        lambda machine, trt: {"tf32": True},
        lambda machine, trt: {"workspace": 1 << 30},
        lambda machine, trt: {"batches": (1, 1, 9)},
        lambda machine, trt: {"batches": (1, 4, 8)},
        lambda machine, trt: {"version_compatible": True},
        lambda machine, trt: {"hardware_compatible": True},
    ],
)
def test_any_change_of_what_it_depends_on_builds_again(
    new, machine, graph, change
):
    path = graph()
    opened(path)
    options = change(machine, new) or {}
    opened(path, **options)
    assert new.builds == 2
    opened(path, **options)
    assert new.builds == 2


def test_a_change_of_the_graph_builds_again(new, graph):
    opened(graph())
    opened(graph(says=[["INFO", "another graph"]]))
    assert new.builds == 2


def test_a_change_of_the_weights_beside_the_graph_builds_again(
    new, bundle, tmp_path
):
    """The stages' weights lie in the model's file."""
    for name in ("model.onnx", "stages.onnx"):
        shutil.copy(bundle.path / name, tmp_path)
    opened(tmp_path / "stages.onnx")
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    opened(tmp_path / "stages.onnx")
    assert new.builds == 2
