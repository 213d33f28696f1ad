"""Cross-compile the native runner for 64-bit Arm, run it on an emulated device, and compare it with this machine."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _emulated import Device

from anomedge import Inspector, Result
from anomedge.conformance import ClientCommand
from anomedge.conformance.client import Answer
from anomedge.parity.certificate import TOLERANCES

__all__ = ["Skipped", "compare", "run_native"]

SOURCES = Path(__file__).resolve().parent.parent / "runtimes" / "native"
COMPILER = "aarch64-linux-gnu-g++"
HEADERS = Path(
    os.environ.get("ANOMEDGE_ONNXRUNTIME_INCLUDE", "/usr/include/onnxruntime")
)
"""ONNX Runtime's, of the package libonnxruntime-dev of Debian 13; its Python package has none."""
SECONDS = 1800
"""Limit of one picture; one of 480x640 takes a minute."""


class Skipped(Exception):
    """The runner cannot be built here; the text is the reason."""


def run_native(
    device: Device, runtime: str, bundle: Path, pictures: Path, work: Path
) -> str:
    """Build the runner of a runtime, inspect each picture, and describe the comparison with `Inspector` on this machine.

    Raises:
        Skipped: a tool, a header or a package is missing.
        RuntimeError: the build failed, or the runner's results differ.
    """
    folder = work / f"native-{runtime}"
    settings = _settings(device, runtime, folder)
    program = _build(device, settings, folder) / f"runner-{runtime}"
    paths = sorted(pictures.glob("*.png"))
    with Inspector.open(bundle, runtime=runtime) as inspector:
        expected = [inspector.predict(path) for path in paths]
        scale = inspector.decision.scale
    client = _client(device, program, expected[0])
    answers = []
    for path, result in zip(paths, expected, strict=True):
        answers.append(client(bundle, [path], _size(result)))
    return compare(expected, answers, scale)


def _client(device: Device, program: Path, result: Result) -> ClientCommand:
    words = [*device.native(program), "{bundle}", "{frame}"]
    if result.anomaly_map is not None:
        words += ["--map", "{map}"]
    return ClientCommand(shlex.join(words), SECONDS)


def _size(result: Result) -> tuple[int, int] | None:
    if result.anomaly_map is None:
        return None
    height, width = result.anomaly_map.shape
    return height, width


def compare(
    expected: Sequence[Result], answers: Sequence[Answer], scale: float
) -> str:
    """Return the largest differences as shares of the scale; raise RuntimeError if a label or a tolerance is violated."""
    tolerance = TOLERANCES["fp32"]
    score_error = map_error = 0.0
    for result, answer in zip(expected, answers, strict=True):
        reason = answer.fault or answer.refusal
        if reason:
            raise RuntimeError(reason)
        if answer.labels[0] != result.label:
            raise RuntimeError(
                f"got {answer.labels[0]}, score {answer.scores[0]!r}; expected {result.label}, score {result.score!r}"
            )
        error = abs(answer.scores[0] - result.score) / scale
        score_error = max(score_error, float(error))
        if answer.anomaly_map is not None:
            error = np.abs(answer.anomaly_map - result.anomaly_map).max()
            map_error = max(map_error, float(error / scale))
    note = f"{len(answers)} of {len(expected)} labels as of Inspector on this machine, score {score_error:.1e}, map {map_error:.1e} of the scale"
    if score_error > tolerance.score or map_error > tolerance.map:
        raise RuntimeError(
            f"{note}; expected at most {tolerance.score:.0e} and {tolerance.map:.0e}"
        )
    return note


def _settings(device: Device, runtime: str, folder: Path) -> dict[str, Path]:
    """Return the CMake settings that name the device's runtime."""
    if not (SOURCES / "CMakeLists.txt").exists():
        raise Skipped("this release has no native runner")
    for tool in (COMPILER, "cmake"):
        if shutil.which(tool) is None:
            raise Skipped(f"{tool} is not installed")
    package = device.site / runtime
    if not package.is_dir():
        raise Skipped(f"the device has no {runtime}")
    if runtime == "openvino":
        return {"OPENVINO_ROOT": package}
    if not (HEADERS / "onnxruntime_c_api.h").exists():
        raise Skipped(
            "libonnxruntime-dev is not installed, or name its headers' folder in ANOMEDGE_ONNXRUNTIME_INCLUDE"
        )
    # The wheel has the library without the name that programs look for.
    (library,) = (package / "capi").glob("libonnxruntime.so.*")
    folder.mkdir()
    named = folder / "libonnxruntime.so.1"
    named.symlink_to(library)
    return {"ONNXRUNTIME_INCLUDE": HEADERS, "ONNXRUNTIME_LIBRARY": named}


def _build(device: Device, settings: dict[str, Path], folder: Path) -> Path:
    """Return the folder of the runner, built with the headers and libraries of the device's packages."""
    settings |= {
        "CMAKE_TOOLCHAIN_FILE": SOURCES / "aarch64-linux-gnu.cmake",
        "CMAKE_SYSROOT": device.root,
    }
    options = [f"-D{name}={value}" for name, value in settings.items()]
    _checked(["cmake", "-S", str(SOURCES), "-B", str(folder), *options])
    _checked(["cmake", "--build", str(folder)])
    return folder


def _checked(command: list[str]) -> None:
    """Run a command; raise RuntimeError with its last line if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        last = said[-1][:300] if said else "no output"
        raise RuntimeError(f"{Path(command[0]).name}: {last}")
