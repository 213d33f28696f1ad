"""A machine with a GPU and any release of TensorRT, without either."""

import json
import sys

import numpy as np
import pytest

from anomedge.images import list_pictures, read_picture
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.nvidia.gpus import Gpu, GpuSearch
from tests.runtimes.fake_cuda import FakeCuda
from tests.runtimes.fake_tensorrt import RELEASES, FakeTensorRT

GRAPH = {
    "inputs": {"frames": ["UINT8", [-1, 4, 6, 3]]},
    "outputs": {
        "score": ["FLOAT", [-1]],
        "anomaly_map": ["FLOAT", [-1, 1, 2, 3]],
    },
    "layers": [
        ["CAST", ["FLOAT"]],
        ["CONVOLUTION", ["FLOAT"]],
        ["REDUCE", ["FLOAT"]],
    ],
}


class Machine:
    """GPUs, a driver, CUDA and TensorRT; change what it is with `gpus` and `install`."""

    def __init__(self, monkeypatch):
        self._patch = monkeypatch
        self.cuda = FakeCuda()
        self.trt = None
        monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", self.cuda)
        self.gpus("Fake GPU")

    def gpus(
        self,
        *names,
        capability=(8, 7),
        driver="CUDA 12.6, 540.4.0",
        reason="no NVIDIA driver",
    ):
        installed = tuple(
            Gpu(i, name, capability, driver) for i, name in enumerate(names)
        )
        found = GpuSearch(installed, "" if installed else reason)
        self.cuda.names = names
        self._patch.setattr(gpus, "find", lambda: found)

    def install(self, release, name="tensorrt"):
        self.trt = FakeTensorRT(release, self.cuda, name)
        self._patch.setitem(sys.modules, name, self.trt)
        return self.trt


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Machine(monkeypatch)
    yield made
    assert made.cuda.problems == []
    assert made.cuda.left() == []


@pytest.fixture(params=RELEASES)
def trt(request, machine):
    return machine.install(request.param)


@pytest.fixture
def new(machine):
    """A release without the question which, for what is alike in all."""
    return machine.install("10.16.1")


@pytest.fixture
def graph(tmp_path):
    """Writes a graph's file; what is given replaces parts of the usual one."""

    def write(name="model.onnx", **changes):
        path = tmp_path / name
        path.write_text(json.dumps(GRAPH | changes))
        return path

    return write


@pytest.fixture
def frames(pictures):
    return np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")[:3]]
    )
