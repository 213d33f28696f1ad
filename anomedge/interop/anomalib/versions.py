"""anomalib's version of a checkpoint, by the keys that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anomedge.errors import ModelError

__all__ = ["V1", "V2", "V27", "version_of"]

V1 = "1.2"
V2 = "2.3 to 2.6"
V27 = "2.7"

_KEYS_OF_27 = (
    "anomalib_components_enabled",
    "anomalib_pre_processor_config",
    "anomalib_post_processor_config",
)
_COMPONENTS = ("pre_processor", "post_processor")
_KEYS_OF_1 = ("image_threshold.value", "image_threshold_class")


def version_of(
    content: Mapping[str, Any],
    state: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> str:
    """Return the version, or the range of versions that write such a checkpoint.

    Args:
        content: the checkpoint.
        state: its state_dict.
        arguments: its hyper-parameters.

    Raises:
        ModelError: no sign of anomalib.
    """
    if any(key in content for key in _KEYS_OF_27):
        return V27
    if any(key in state for key in _KEYS_OF_1):
        return V1
    has_components = any(key in arguments for key in _COMPONENTS)
    has_processor = any(key.startswith("post_processor.") for key in state)
    if has_components or has_processor:
        return V2
    raise ModelError(
        "got a checkpoint without a sign of anomalib; expected one of anomalib 1.2 or 2.3 to 2.7"
    )
