"""Compile the native runner against the Python packages of OpenVINO and ONNX Runtime."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from anomedge.runtimes.imports import import_onnxruntime, import_openvino

__all__ = ["HEADERS", "SOURCE", "compile_runners", "missing_for_build"]

SOURCE = Path(__file__).parents[2] / "runtimes" / "native"
HEADERS = Path(
    os.environ.get("ANOMEDGE_ONNXRUNTIME_INCLUDE", "/usr/include/onnxruntime")
)
"""Headers of ONNX Runtime: by default those of the package libonnxruntime-dev of Debian 13."""

_PACKAGES = (
    "/usr/include/nlohmann/json.hpp",
    "/usr/include/png.h",
    "/usr/include/openssl/evp.h",
)


def missing_for_build() -> str | None:
    """Return a program or header that the build needs and this machine lacks."""
    programs = [p for p in ("cmake", "g++") if shutil.which(p) is None]
    headers = [header for header in _PACKAGES if not Path(header).exists()]
    missing = programs + headers
    return missing[0] if missing else None


def compile_runners(folder: Path, headers: Path = HEADERS) -> None:
    """Build `runner-openvino` in a folder, and `runner-onnxruntime` if its headers are there."""
    openvino = Path(import_openvino().__file__).parent
    options = [f"-DOPENVINO_ROOT={openvino}"]
    if (headers / "onnxruntime_c_api.h").exists():
        # The wheel has the library without the name that programs look for.
        vendor = Path(import_onnxruntime().__file__).parent / "capi"
        (library,) = vendor.glob("libonnxruntime.so.*")
        named = folder / "libonnxruntime.so.1"
        named.symlink_to(library)
        options += [
            f"-DONNXRUNTIME_INCLUDE={headers}",
            f"-DONNXRUNTIME_LIBRARY={named}",
        ]
    for command in (
        ["cmake", "-S", str(SOURCE), "-B", str(folder), *options],
        ["cmake", "--build", str(folder)],
    ):
        subprocess.run(command, check=True, capture_output=True)
