"""Cross-compile the native runner for 64-bit Arm and run it on an emulated device."""

import os
import shutil
import subprocess
from pathlib import Path

from _emulated import Device

__all__ = ["Skipped", "run_native"]

SOURCES = Path(__file__).resolve().parent.parent / "runtimes" / "native"
COMPILER = "aarch64-linux-gnu-g++"


class Skipped(Exception):
    """The runner cannot be built here; the text is the reason."""


def run_native(device: Device, bundle: Path, pictures: Path, work: Path) -> str:
    """Build the runner against the device's OpenVINO and inspect one picture; return its line of output."""
    if not (SOURCES / "CMakeLists.txt").exists():
        raise Skipped("this release has no native runner")
    for tool in (COMPILER, "cmake"):
        if shutil.which(tool) is None:
            raise Skipped(f"{tool} is not installed")
    if not (device.site / "openvino").is_dir():
        raise Skipped("the device has no OpenVINO")
    program = _build(device, work / "native")
    picture = sorted(pictures.glob("*.png"))[0]
    return _checked([*device.native(program), str(bundle), str(picture)])


def _build(device: Device, folder: Path) -> Path:
    """Return the runner, built with the headers and libraries of the device's packages."""
    openvino = device.site / "openvino"
    settings = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CXX_COMPILER": COMPILER,
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_FIND_ROOT_PATH": device.root,
        "CMAKE_BUILD_RPATH": openvino / "libs",
        "OpenVINO_DIR": openvino / "cmake",
    }
    options = [f"-D{name}={value}" for name, value in settings.items()]
    _checked(["cmake", "-S", str(SOURCES), "-B", str(folder), *options])
    _checked(["cmake", "--build", str(folder)])
    programs = [
        file
        for file in sorted(folder.iterdir())
        if file.is_file() and os.access(file, os.X_OK)
    ]
    if not programs:
        raise RuntimeError("got no program in the build folder")
    return programs[0]


def _checked(command: list[str]) -> str:
    """Run a command; return its last line, or raise RuntimeError with it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {said[-1][:300]}")
    return said[-1][:300]
