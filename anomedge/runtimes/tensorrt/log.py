"""Import TensorRT and record its log; `tensorrt` and `tensorrt_rtx` have the same calls.

TensorRT has one logger per process, so there is one here for each module. Lines
are recorded as they arrive, on any thread; lines of severity warning and above
become Python warnings afterwards, each once per process.
"""

from __future__ import annotations

import importlib
import re
import threading
import warnings
from functools import cache
from types import ModuleType
from typing import Any

from anomedge.errors import RuntimeMissing
from anomedge.runtimes.vendors import VendorError

__all__ = ["LogRecorder", "import_tensorrt", "logger_of"]

_RECORDED = {"INTERNAL_ERROR", "ERROR", "WARNING"}
_LONGEST_TEXT = 400
_EXPECTED = re.compile(r"UINT8 data \S+\.bytes is being converted to INT32")
"""Warning of the parser about the precision int8-storage: INT32 has the same values, and the builder folds them."""
_LIBRARIES = {
    "libnvdla_compiler": "on a Jetson it comes with nvidia-l4t-dla-compiler (sudo apt install nvidia-l4t-dla-compiler)",
    "libnvinfer": "it comes with TensorRT; give its folder in LD_LIBRARY_PATH, or install TensorRT again",
    "libcuda": "it comes with NVIDIA's driver",
    "libcudart": "it comes with CUDA; install the release that this TensorRT was made for",
    "libcudnn": "it comes with cuDNN; TensorRT 8 needs it",
}
"""Origin of each library, by the start of its name."""


def import_tensorrt(name: str, how_to_install: str) -> ModuleType:
    """Import `tensorrt` or `tensorrt_rtx`.

    Args:
        name: name of the module.
        how_to_install: instruction for the message.

    Raises:
        RuntimeMissing: the module, or a library that it needs, is missing.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RuntimeMissing(
            f"{error.name} is not installed here; "
            f"expected it for {name}: {how_to_install}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise RuntimeMissing(
            f"{name} is installed but does not load: {_advice(str(error))}"
        ) from error


def _advice(text: str) -> str:
    """Name the missing library and its origin."""
    reason = " ".join(text.split())[:_LONGEST_TEXT]
    found = re.search(r"(lib[A-Za-z0-9_+-]+)\.so[.\d]*", text)
    if found is None:
        return f"{reason}; install it again"
    origin = f"install the package that brings {found[0]}"
    for library, known_origin in _LIBRARIES.items():
        if found[1].startswith(library):
            origin = known_origin
            break
    return f"{found[0]} is missing; {origin} ({reason})"


class LogRecorder:
    """Lines that a vendor's module logged and that were not reported yet.

    Args:
        name: name of the module, for warnings.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._new: list[tuple[str, str]] = []
        self._reported: set[str] = set()
        # Reentrant: freeing an object inside the lock may log.
        self._lock = threading.RLock()

    def add(self, severity: str, text: str) -> None:
        """Record a line of severity warning or above, apart from expected warnings."""
        if severity == "WARNING" and _EXPECTED.search(text):
            return
        if severity in _RECORDED:
            with self._lock:
                self._new.append((severity, " ".join(text.split())))

    def emit_warnings(self) -> None:
        """Warn of each new line, once per process."""
        for _, text in self._take():
            if text not in self._reported:
                self._reported.add(text)
                warnings.warn(f"{self._name}: {text}", stacklevel=2)

    def error(
        self,
        message: str,
        *details: str,
        kind: type[VendorError] = VendorError,
    ) -> VendorError:
        """Return an error with the recorded error lines; emit the warnings.

        Args:
            message: the failed action.
            details: further reasons.
            kind: class of the error.
        """
        lines = self._take()
        errors = [text for severity, text in lines if severity != "WARNING"]
        with self._lock:
            self._new += [line for line in lines if line[0] == "WARNING"]
        self.emit_warnings()
        reasons = _without_repetitions([*details, *errors])
        return kind(f"{message}: {'; '.join(reasons) or 'it gave no reason'}")

    def _take(self) -> list[tuple[str, str]]:
        with self._lock:
            lines, self._new = self._new, []
        return lines


def _without_repetitions(texts: list[str]) -> list[str]:
    """Drop texts that are contained in others."""
    unique = list(dict.fromkeys(texts))
    kept = []
    for text in unique:
        others = [other for other in unique if other != text]
        if not any(text in other for other in others):
            kept.append(text)
    return kept


@cache
def logger_of(module: Any) -> tuple[Any, LogRecorder]:
    """Return the process's only logger of a module, and its recorder."""
    recorder = LogRecorder(module.__name__)

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            recorder.add(severity.name, msg)

    return Logger(), recorder
