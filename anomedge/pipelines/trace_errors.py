"""Report failures of torch's tracer as errors of the export."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from anomedge.errors import ExportError

__all__ = ["traced"]

_LONGEST_REASON = 600
_ADVICE = "use another backbone or layer"


@contextmanager
def traced(
    module: nn.Module,
    subject: str = "this detector",
    *,
    action: str = "trace",
    advice: str = _ADVICE,
) -> Iterator[None]:
    """Trace a module inside this block: without gradients, and without torch's warnings.

    Setting the evaluation mode afterwards clears values without data that backbones such as LeViT cache while they are
    traced.

    Args:
        module: the module; its evaluation mode is restored.
        subject: noun of the message.
        action: verb of the message.
        advice: last clause of the message.

    Raises:
        ExportError: the block raised an error.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        reason = " ".join(_told(error).split())[:_LONGEST_REASON]
        raise ExportError(
            f"torch could not {action} {subject}: {reason}; {advice}"
        ) from error
    finally:
        module.eval()


def _told(error: BaseException) -> str:
    """Return the message of an error; of the ONNX exporter, that of the first cause, which names the operator."""
    if type(error).__module__.startswith("torch.onnx"):
        while error.__cause__ is not None:
            error = error.__cause__
    return str(error)
