"""CUDA as cuda-python shows it, in both of its layouts."""

import inspect
import sys

import pytest

from anomedge import runtimes
from anomedge.errors import RuntimeFailure, RuntimeMissing
from anomedge.runtimes.nvidia import cuda, gpus
from anomedge.runtimes.vendors import VendorError
from tests.runtimes.fake_cuda import (
    FakeCuda,
    FakeError,
    cudaMemcpyKind,
    cudaStreamCaptureMode,
)
from tests.runtimes.tensorrt.frames import check, frames


def test_without_cuda_python_it_is_not_taken_by_default(machine, monkeypatch):
    machine.install("10.3.0")
    monkeypatch.setattr(cuda, "_LAYOUTS", ("no.such.layout", "nothing_at_all"))
    assert not cuda.installed()
    assert "tensorrt" not in runtimes.usable()


def test_a_cuda_python_that_is_newer_than_the_driver_is_told_from_a_fault(
    machine, graph
):
    machine.install("10.3.0")
    machine.cuda.fail, machine.cuda.code = (
        {"cudaSetDevice"},
        FakeError.cudaErrorInsufficientDriver,
    )
    with pytest.raises(
        RuntimeFailure,
        match=r"the driver, which speaks CUDA 12\.6; .*pip install 'cuda-python==12\.6",
    ):
        runtimes.open(graph(), runtime="trt")


def test_the_fake_has_the_calls_of_cuda_python():
    real = pytest.importorskip("cuda.bindings.runtime")
    for name, call in vars(FakeCuda).items():
        if name.startswith("cuda"):
            wanted = list(inspect.signature(call).parameters)[1:]
            assert len(
                inspect.signature(getattr(real, name)).parameters
            ) == len(wanted), name
    for kind in (cudaMemcpyKind, cudaStreamCaptureMode):
        for member in kind:
            assert (
                getattr(getattr(real, kind.__name__), member.name)
                == member.value
            )
    assert int(real.cudaStream_t(5)) == 5


@pytest.mark.skipif(bool(gpus.find().gpus), reason="there is a GPU")
def test_the_real_cuda_python_says_its_errors_by_name():
    pytest.importorskip("cuda.bindings.runtime")
    with pytest.raises(VendorError, match=r"cudaMalloc: cudaError\w+ \(\d+\)"):
        cuda.Cuda.load()("cudaMalloc", 64)


def test_both_layouts_of_cuda_python(new, machine, graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    monkeypatch.setitem(sys.modules, "cuda.cudart", None)
    with pytest.raises(RuntimeMissing, match="pip install cuda-python"):
        runtimes.open(graph(), runtime="trt")
    monkeypatch.setitem(sys.modules, "cuda.cudart", machine.cuda)
    with runtimes.open(graph(), runtime="trt") as session:
        images = frames(1)
        check(session.run({"frames": images}), images)
