"""Import OpenVINO and ONNX Runtime with usage statistics disabled; no other module of anomedge imports them.

OpenVINO: `import openvino` sends an event to an analytics host from a child process and writes a client identifier into
`~/intel`, unless the package `openvino_telemetry` is missing. OpenVINO itself then uses a stub that does nothing, so the
import hides that package: no opt-out file, and no variable that other programs read.

ONNX Runtime: releases from 1.30 on write a device identifier and a queue of events into `~/.cache/Microsoft` when the
first session opens and upload them, unless `ORT_DISABLE_TELEMETRY=1` stands in the environment before the import.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["import_onnxruntime", "import_openvino"]

_LOCK = threading.Lock()
_ABSENT = object()


def import_openvino() -> Any:
    """Import `openvino` without its usage statistics: no name lookup, no child process, no file in the home folder.

    If the application imported `openvino` before, its setting is kept.

    Raises:
        ImportError: OpenVINO is not installed, or does not load.
    """
    with _LOCK, _hidden("openvino_telemetry"):
        return importlib.import_module("openvino")


def import_onnxruntime() -> Any:
    """Import `onnxruntime` without its usage statistics: no name lookup, no file in the home folder.

    An existing value of `ORT_DISABLE_TELEMETRY` and an earlier import by the application are respected.

    Raises:
        ImportError: ONNX Runtime is not installed, or does not load.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module("onnxruntime")


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Within the block, make imports of `name` fail; then restore the application's own import."""
    modules: dict[str, Any] = sys.modules
    before = modules.get(name, _ABSENT)
    modules[name] = None
    try:
        yield
    finally:
        if before is _ABSENT:
            del modules[name]
        else:
            modules[name] = before
