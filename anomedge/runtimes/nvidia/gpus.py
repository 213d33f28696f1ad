"""Find the NVIDIA GPUs of this machine, in a separate process.

Some vendors' runtimes end the process when there is no driver, so they are not
used before this module has found one. The process calls the driver's library
directly (`cuInit`, `cuDeviceGetCount`, ...), which needs no package.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Gpu", "GpuSearch", "find"]

_SECONDS = 60
_KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
_JETSON = Path("/etc/nv_tegra_release")
# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR, _MULTIPROCESSOR_COUNT
_ATTRIBUTES = (75, 76, 16)

_PROBE = """
import ctypes, json, sys
def ask(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        sys.exit(f"the driver answers {name} with error {code}")
try:
    cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
except OSError as error:
    sys.exit(f"no NVIDIA driver: {error}")
ask("cuInit", 0)
count, driver = ctypes.c_int(), ctypes.c_int()
ask("cuDeviceGetCount", ctypes.byref(count))
ask("cuDriverGetVersion", ctypes.byref(driver))
gpus = []
for i in range(count.value):
    device, name, numbers = ctypes.c_int(), ctypes.create_string_buffer(256), [ctypes.c_int() for _ in sys.argv[1:]]
    ask("cuDeviceGet", ctypes.byref(device), i)
    ask("cuDeviceGetName", name, 256, device)
    for number, attribute in zip(numbers, map(int, sys.argv[1:])):
        ask("cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
    major, minor, processors = (n.value for n in numbers)
    gpus.append({"name": name.value.decode(), "capability": [major, minor], "processors": processors})
print(json.dumps({"cuda": driver.value, "gpus": gpus}))
"""


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        index: position among the visible GPUs.
        name: name that the driver gives; all modules of Jetson Orin share one.
        capability: compute capability.
        driver: release of the driver, and the CUDA version that it supports.
        processors: number of multiprocessors, which differs between modules.
    """

    index: int
    name: str
    capability: tuple[int, int]
    driver: str
    processors: int = 0

    @property
    def compute(self) -> str:
        """The compute capability as a version number.

        >>> Gpu(0, "Orin", (8, 7), "CUDA 12.6").compute
        '8.7'
        """
        return ".".join(str(number) for number in self.capability)

    def __str__(self) -> str:
        return f"{self.name} (cuda:{self.index})"


@dataclass(frozen=True)
class GpuSearch:
    """The GPUs, or the reason why there are none."""

    gpus: tuple[Gpu, ...]
    reason: str = ""


@cache
def find() -> GpuSearch:
    """Return the GPUs that this process may use.

    The result is cached, because `CUDA_VISIBLE_DEVICES` holds for a whole process.
    """
    command = [sys.executable, "-I", "-S", "-c", _PROBE, *map(str, _ATTRIBUTES)]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return GpuSearch((), f"the driver could not be asked: {error}")
    if done.returncode:
        reason = " ".join(done.stderr.split())
        return GpuSearch(
            (), reason or f"asking the driver ended with {done.returncode}"
        )
    return _read(json.loads(done.stdout))


def _read(answer: dict[str, Any]) -> GpuSearch:
    driver = _driver(answer["cuda"])
    gpus = tuple(
        Gpu(
            index,
            gpu["name"],
            (gpu["capability"][0], gpu["capability"][1]),
            driver,
            gpu["processors"],
        )
        for index, gpu in enumerate(answer["gpus"])
    )
    return GpuSearch(
        gpus, "" if gpus else "the driver has no GPU for this process"
    )


def _driver(cuda: int) -> str:
    """Format the CUDA version and, where the system states it, the driver's release.

    Engines depend on both.
    """
    parts = [f"CUDA {cuda // 1000}.{cuda % 1000 // 10}"]
    for path in (_KERNEL_DRIVER, _JETSON):
        try:
            first_line = path.read_text(errors="replace").splitlines()[0]
            parts.append(" ".join(first_line.split()))
        except (OSError, IndexError):
            continue
    return ", ".join(_release(text) for text in parts)


def _release(text: str) -> str:
    """Return the release in the kernel driver's line; other text unchanged."""
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return match[0] if match and "NVRM" in text else text[:120]
