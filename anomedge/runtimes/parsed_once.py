"""ONNX Runtime's session from bytes that are freed as soon as they are parsed.

ONNX Runtime parses the graph, and then optimises it; its Python class holds the
bytes all the while. Without them, the peak of an opening is lower by the size of
the graph where the optimisation takes the most memory.
"""

from __future__ import annotations

from typing import Any

__all__ = ["open_parsed_once"]

_OPENS = "_create_inference_session"
"""Method of ONNX Runtime's class that reads the bytes, from its attribute `_model_bytes`."""


def open_parsed_once(
    vendor: Any, held: list[bytes], settings: Any, **more: Any
) -> Any:
    """Open a session, and free the graph once it is parsed.

    Args:
        vendor: the module of ONNX Runtime.
        held: a list with the graph, to which nothing else may refer; it is empty afterwards.
        settings: options of the session.
        more: further arguments of `InferenceSession`; it must not open the graph a second time for fallback providers.

    If ONNX Runtime's class lacks that method, the graph is held until the session is open.
    """
    plain = vendor.InferenceSession
    if not hasattr(plain, _OPENS):
        return plain(held.pop(), settings, **more)
    try:
        return _freeing(plain)(held, settings, **more)
    except Exception:
        if not held:
            raise
    return plain(held.pop(), settings, **more)


def _freeing(plain: Any) -> Any:
    """Return a subclass that takes the graph out of a list when it is parsed."""

    class Session(plain):  # type: ignore[misc]
        def __init__(
            self, held: list[bytes], settings: Any, **more: Any
        ) -> None:
            self._held = held
            super().__init__(b"", settings, **more)

        @property
        def _model_bytes(self) -> bytes:
            return self._held.pop() if self._held else b""

        @_model_bytes.setter
        def _model_bytes(self, content: bytes) -> None:
            """Ignore the empty content given above."""

    return Session
