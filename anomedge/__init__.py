"""anomedge: one static graph of a visual anomaly detector, and the proof that every copy decides alike.

Python runs this file before `anomedge.runtimes`, so it imports nothing heavy: the one public name besides the
version is resolved when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomedge.inspector import Inspector as Inspector
    from anomedge.inspector import Result as Result

__all__ = ["Inspector", "Result", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in {"Inspector", "Result"}:
        from anomedge import inspector

        return getattr(inspector, name)
    raise AttributeError(f"module 'anomedge' has no attribute {name!r}")
