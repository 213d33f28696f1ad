"""What is missing is said in one line, and what cannot run here is not what commands take by themselves."""

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import DeviceMismatch, RuntimeFailure, RuntimeMissing
from anomedge.runtimes import base, trt, vendors
from anomedge.runtimes.nvidia import cuda, gpus
from anomedge.runtimes.vendors import VendorError
from anomedge.verification import plan_of
from tests.commands.test_commands import run
from tests.runtimes.fake_cuda import (
    FakeCuda,
    FakeError,
    cudaMemcpyKind,
    cudaStreamCaptureMode,
)


def test_named_in_full_and_in_short(machine):
    machine.install("10.3.0")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    assert (
        runtimes.get("tensorrt") is runtimes.get("trt") is runtimes.get("TRT")
    )
    assert runtimes.get("tensorrt-rtx") is runtimes.get("rtx")
    assert {"tensorrt", "tensorrt-rtx"} <= set(runtimes.installed())


def test_defaults_leave_out_what_cannot_run_here(machine, bundle_paths):
    machine.install("10.3.0")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    bundle = Bundle.open(bundle_paths["padim"])
    machine.gpus("GeForce RTX 4090", capability=(8, 9))
    assert runtimes.usable()[-2:] == ["tensorrt", "tensorrt-rtx"]
    machine.gpus("H200", capability=(9, 0))
    assert runtimes.usable()[-1] == plan_of(bundle).runtimes[-1] == "tensorrt"
    machine.gpus()
    assert (
        runtimes.usable()
        == plan_of(bundle).runtimes
        == ["onnxruntime", "openvino"]
    )
    assert plan_of(bundle, ["trt"]).runtimes == ["tensorrt"]


def test_without_cuda_python_it_is_not_taken_by_default(machine, monkeypatch):
    machine.install("10.3.0")
    monkeypatch.setattr(cuda, "_LAYOUTS", ("no.such.layout", "nothing_at_all"))
    assert not cuda.installed()
    assert "tensorrt" not in runtimes.usable()


def test_without_a_gpu_the_line_says_why_and_what_to_do(machine, graph):
    machine.install("8.6.1")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus(reason="no NVIDIA driver: libcuda.so.1")
    with pytest.raises(
        DeviceMismatch,
        match=r"found none \(no NVIDIA driver: libcuda\.so\.1\); install NVIDIA's driver",
    ):
        runtimes.open(graph(), runtime="trt")
    with pytest.raises(
        DeviceMismatch,
        match=r"needs an RTX-class GPU .*anomedge build BUNDLE --runtime rtx",
    ):
        runtimes.open(graph(), runtime="rtx")
    assert machine.trt.journal == machine.cuda.calls == []


def test_rtx_says_which_gpus_it_runs_on(machine, graph):
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus("H200", capability=(9, 0))
    with pytest.raises(
        DeviceMismatch,
        match=r"does not run on H200 \(cuda:0\), compute capability 9\.0",
    ):
        runtimes.open(graph(), runtime="rtx")
    assert (
        runtimes.get("rtx").build(graph(), runtimes.get("rtx").Options()).fresh
    ), "ahead of time, for others"
    machine.gpus("Blackwell", capability=(12, 1))
    runtimes.open(graph(), runtime="rtx").close()
    assert machine.trt.config._capabilities == []


def test_rtx_engines_are_portable_but_for_turing(machine, graph):
    trt = machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus()
    kind = runtimes.get("rtx")
    built = kind.build(graph(), runtimes.get("rtx").Options())
    assert built.record["fingerprint"]["device"] == {
        "compute_capabilities": "8.0, 8.6, 8.9, 12.0 and later"
    }
    machine.gpus("GeForce RTX 4090", capability=(8, 9))
    runtimes.open(graph(), runtime="rtx").close()
    assert trt.builds == 1
    machine.gpus("GeForce RTX 2080", capability=(7, 5))
    runtimes.open(graph(), runtime="rtx").close()
    assert (trt.builds, trt.config._capabilities) == (2, ["SM75"])
    assert not {
        call
        for call in trt.journal
        if "timing_cache" in call or "hardware" in call
    }


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "libnvdla_compiler.so: cannot open shared object file: No such file or directory",
            r"libnvdla_compiler\.so is missing; on a Jetson it comes with nvidia-l4t-dla-compiler",
        ),
        (
            "libnvinfer.so.10: cannot open shared object file",
            r"libnvinfer\.so\.10 is missing; it comes with TensorRT",
        ),
        (
            "libstrange.so.3: cannot open",
            r"libstrange\.so\.3 is missing; install the package that brings",
        ),
        ("undefined symbol: x", "undefined symbol: x; install it again"),
    ],
)
def test_a_missing_library_is_named(machine, graph, monkeypatch, error, said):
    machine.install("10.3.0")
    real = importlib.import_module

    def importing(name, *more):
        if name == "tensorrt":
            raise ImportError(error)
        return real(name, *more)

    monkeypatch.setattr(importlib, "import_module", importing)
    with pytest.raises(RuntimeMissing, match=said):
        runtimes.open(graph(), runtime="trt")


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


def test_on_a_jetson_tensorrt_is_not_installed_but_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(trt, "_JETSON", tmp_path)
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        RuntimeMissing, match=r"comes with JetPack; .*--system-site-packages"
    ):
        runtimes.get("trt")
    with pytest.raises(RuntimeMissing, match=r"pip install 'anomedge\[rtx\]'"):
        runtimes.get("rtx")


def test_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    for short, extra in (("trt", "tensorrt"), ("rtx", "rtx")):
        with pytest.raises(
            RuntimeMissing, match=rf"pip install 'anomedge\[{extra}\]'"
        ):
            runtimes.get(short)


def test_the_probe_runs_in_a_process_of_its_own_and_reads_its_answer(
    monkeypatch,
):
    said = {
        "cuda": 12060,
        "gpus": [{"name": "Orin", "capability": [8, 7], "processors": 16}],
    }
    commands = []

    def answer(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=0, stdout=json.dumps(said), stderr="")

    monkeypatch.setattr(subprocess, "run", answer)
    (gpu,) = gpus.find.__wrapped__().gpus
    assert commands[0][0] == sys.executable
    assert (gpu.name, gpu.capability, gpu.compute, str(gpu)) == (
        "Orin",
        (8, 7),
        "8.7",
        "Orin (cuda:0)",
    )
    assert gpu.processors == 16
    assert gpu.driver.startswith("CUDA 12.6")


def test_the_driver_s_release_is_part_of_the_driver(monkeypatch, tmp_path):
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\nGCC version:\n"
    )
    (tmp_path / "tegra").write_text(
        "# R36 (release), REVISION: 4.3, GCID: 38968081\n"
    )
    monkeypatch.setattr(gpus, "_KERNEL_DRIVER", tmp_path / "version")
    monkeypatch.setattr(gpus, "_JETSON", tmp_path / "tegra")
    assert (
        gpus._driver(12060)
        == "CUDA 12.6, 550.54.15, # R36 (release), REVISION: 4.3, GCID: 38968081"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('no NVIDIA driver: x')", "no NVIDIA driver: x"),
        ("import os; os.abort()", "ended with -"),
        ('print(\'{"cuda": 12000, "gpus": []}\')', "no GPU for this process"),
        ("import time; time.sleep(9)", "could not be asked"),
    ],
)
def test_a_probe_that_fails_or_crashes_only_means_no_gpu(
    monkeypatch, code, said
):
    monkeypatch.setattr(gpus, "_PROBE", code)
    monkeypatch.setattr(gpus, "_SECONDS", 3)
    found = gpus.find.__wrapped__()
    assert found.gpus == ()
    assert said in found.reason


DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return flags ? 1 : 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGet(int *device, int i) { *device = 40 + i; return 0; }
int cuDeviceGetName(char *name, int room, int device) { strncpy(name, device == 40 ? "First" : "Second", room); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute - 65 + device % 2; return 0; }
"""


@pytest.mark.skipif(
    shutil.which("cc") is None or sys.platform == "win32",
    reason="no compiler to make a driver with",
)
def test_the_probe_asks_a_driver_as_cuda_h_has_it(monkeypatch, tmp_path):
    (tmp_path / "driver.c").write_text(DRIVER)
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-o",
        str(tmp_path / "libcuda.so.1"),
        str(tmp_path / "driver.c"),
    ]
    subprocess.run(command, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    first, second = gpus.find.__wrapped__().gpus
    assert (first.name, first.capability, second.name, second.capability) == (
        "First",
        (10, 11),
        "Second",
        (11, 12),
    )
    assert (first.processors, second.processors) == (-49, -48)
    assert (str(second), second.driver.split(",")[0]) == (
        "Second (cuda:1)",
        "CUDA 13.2",
    )


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


def test_the_command_says_what_it_made(machine, graph, capfd):
    machine.install("10.3.0")
    path = graph()
    assert (
        run(
            "build",
            path,
            "--runtime",
            "trt",
            "--batch",
            "1",
            "8",
            "--tf32",
            "--workspace",
            "512",
        )
        == 0
    )
    shown = " ".join(capfd.readouterr().out.split())
    assert "gpu Fake GPU, compute capability 8.7" in shown
    assert "batches 1 to 8, tuned for 1" in shown
    assert "built in" in shown
    assert machine.trt.config._pools == {"WORKSPACE": 512 << 20}
    assert (
        run(
            "build",
            path,
            "--runtime",
            "trt",
            "--tf32",
            "--workspace",
            "512",
            "--json",
        )
        == 0
    )
    content = json.loads(capfd.readouterr().out)
    assert content["built"] is False
    assert content["runtime"] == "tensorrt"
    assert content["fingerprint"]["batches"] == [1, 1, 8]
    assert (
        run(
            "build",
            path,
            "--runtime",
            "trt",
            "--batch",
            "1",
            "2",
            "4",
            "--json",
            "--force",
        )
        == 0
    )
    assert json.loads(capfd.readouterr().out)["fingerprint"]["batches"] == [
        1,
        2,
        4,
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runtime", "ort"], "onnxruntime builds no engines"),
        (["--batch", "8", "1"], "smallest <= typical <= largest"),
        (
            ["--runtime", "trt", "--batch", "1", "2", "3", "4"],
            "three numbers at most",
        ),
        (["--device", "npu"], "got device 'npu'"),
        (["--dla", "3"], "have 0 such cores"),
    ],
)
def test_wrong_use_of_the_command(machine, graph, capfd, arguments, said):
    machine.install("10.3.0")
    assert run("build", graph(), *arguments) == 2
    assert said in " ".join(capfd.readouterr().err.split())


def test_nothing_that_builds_is_installed(machine, graph, capfd, monkeypatch):
    monkeypatch.setattr(base, "is_installed", lambda package: False)
    assert run("build", graph()) == 2
    assert "pip install 'anomedge[tensorrt]'" in capfd.readouterr().err
