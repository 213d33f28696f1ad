"""The driver is asked for its GPUs in a process of its own."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from anomedge.runtimes.nvidia import gpus


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
