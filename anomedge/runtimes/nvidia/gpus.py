"""The NVIDIA GPUs of this machine, asked in a process of its own.

Some vendors' runtimes end the process when there is no driver, so nothing of theirs is touched before this has found one.
The driver's library is asked directly (`cuInit`, `cuDeviceGetCount`, ...), which needs no package.
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

__all__ = ["Found", "Gpu", "find"]

_SECONDS = 60
_KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
_JETSON = Path("/etc/nv_tegra_release")
_ATTRIBUTES = (
    75,
    76,
    16,
)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR, _MULTIPROCESSOR_COUNT

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
    """One GPU: its place among those visible, name, compute capability, driver's release and number of multiprocessors.

    Every module of a family may have one name, as those of Jetson Orin do; the multiprocessors tell them apart.
    """

    index: int
    name: str
    capability: tuple[int, int]
    driver: str
    processors: int = 0

    @property
    def compute(self) -> str:
        """The compute capability as people write it.

        >>> Gpu(0, "Orin", (8, 7), "CUDA 12.6").compute
        '8.7'
        """
        return ".".join(str(number) for number in self.capability)

    def __str__(self) -> str:
        return f"{self.name} (cuda:{self.index})"


@dataclass(frozen=True)
class Found:
    """The GPUs, or why there are none."""

    gpus: tuple[Gpu, ...]
    reason: str = ""


@cache
def find() -> Found:
    """The GPUs that a process of ours may use; asked once, as `CUDA_VISIBLE_DEVICES` holds for a whole process."""
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
        return Found((), f"the driver could not be asked: {error}")
    if done.returncode:
        said = (
            " ".join(done.stderr.split())
            or f"asking the driver ended with {done.returncode}"
        )
        return Found((), said)
    return _read(json.loads(done.stdout))


def _read(answer: dict[str, Any]) -> Found:
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
    return Found(gpus, "" if gpus else "the driver has no GPU for this process")


def _driver(cuda: int) -> str:
    """The driver's own release where the system tells it, with the CUDA that it speaks: engines depend on both."""
    parts = [f"CUDA {cuda // 1000}.{cuda % 1000 // 10}"]
    for path in (_KERNEL_DRIVER, _JETSON):
        try:
            parts.append(
                " ".join(
                    path.read_text(errors="replace").splitlines()[0].split()
                )
            )
        except (OSError, IndexError):
            continue
    releases = [
        re.search(r"\d+\.\d+(\.\d+)?", text) if "NVRM" in text else None
        for text in parts
    ]
    return ", ".join(
        match[0] if match else text[:120]
        for match, text in zip(releases, parts, strict=True)
    )
