"""TensorRT's module and what it says: both packages, `tensorrt` and `tensorrt_rtx`, have the same calls.

TensorRT has one logger a process, so there is one here for each module. Its lines are kept as they come, on whatever
thread; those of severity warning and worse are told to the user afterwards, each once in a process.
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
from anomedge.runtimes.base import how_to_install

__all__ = ["Lines", "VendorError", "listen", "load"]

_TOLD = {"INTERNAL_ERROR", "ERROR", "WARNING"}
_BRINGS = {
    "libnvdla_compiler": "on a Jetson it comes with nvidia-l4t-dla-compiler (sudo apt install nvidia-l4t-dla-compiler)",
    "libnvinfer": "it comes with TensorRT; give its folder in LD_LIBRARY_PATH, or install TensorRT again",
    "libcuda": "it comes with NVIDIA's driver",
    "libcudart": "it comes with CUDA; install the release that this TensorRT was made for",
    "libcudnn": "it comes with cuDNN; TensorRT 8 needs it",
}


class VendorError(RuntimeError):
    """What the vendor or CUDA says went wrong; the session's base tells the user, with the file's name."""


def load(name: str, extra: str) -> ModuleType:
    """Import `tensorrt` or `tensorrt_rtx`.

    Raises:
        RuntimeMissing: it is not installed, or a library that it needs is missing.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RuntimeMissing(
            f"{error.name} is not installed here; expected it for {name}: {how_to_install(name, extra)}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise RuntimeMissing(
            f"{name} is installed but does not load: {_advice(str(error))}"
        ) from error


def _advice(text: str) -> str:
    said = " ".join(text.split())[:400]
    found = re.search(r"(lib[A-Za-z0-9_+-]+)\.so[.\d]*", text)
    if found is None:
        return f"{said}; install it again"
    brings = next(
        (
            advice
            for name, advice in _BRINGS.items()
            if found[1].startswith(name)
        ),
        None,
    )
    return f"{found[0]} is missing; {brings or f'install the package that brings {found[0]}'} ({said})"


class Lines:
    """What a module has said and nobody has heard yet."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._new: list[tuple[str, str]] = []
        self._known: set[str] = set()
        self._lock = threading.RLock()  # what is freed within it may log

    def add(self, severity: str, text: str) -> None:
        """Keep a line of a severity that people must hear."""
        if severity in _TOLD:
            with self._lock:
                self._new.append((severity, " ".join(text.split())))

    def tell(self) -> None:
        """Warn of each new line; one that was told before is not told again."""
        for _, text in self._taken():
            if text not in self._known:
                self._known.add(text)
                warnings.warn(f"{self._name}: {text}", stacklevel=2)

    def failure(
        self, what: str, *more: str, kind: type[VendorError] = VendorError
    ) -> VendorError:
        """An error with what was said of it; lines that are only warnings are told as such."""
        taken = self._taken()
        errors = [text for severity, text in taken if severity != "WARNING"]
        with self._lock:
            self._new += [line for line in taken if line[0] == "WARNING"]
        self.tell()
        said = list(dict.fromkeys([*more, *errors]))
        texts = [
            text
            for text in said
            if not any(text in other for other in said if other != text)
        ]
        return kind(f"{what}: {'; '.join(texts) or 'it gave no reason'}")

    def _taken(self) -> list[tuple[str, str]]:
        with self._lock:
            taken, self._new = self._new, []
        return taken


@cache
def listen(module: Any) -> tuple[Any, Lines]:
    """The process's only logger of a module, and what it has heard."""
    lines = Lines(module.__name__)

    class Log(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            lines.add(severity.name, msg)

    return Log(), lines
