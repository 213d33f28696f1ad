"""Enforce the TF32 setting for providers without an option for it."""

from __future__ import annotations

import os

from anomedge.errors import InputError
from anomedge.runtimes.nvidia.options import TF32
from anomedge.runtimes.nvidia.providers import TENSORRT

__all__ = ["enforce_tf32"]

_VARIABLE = "NVIDIA_TF32_OVERRIDE"

_setting_in_use: list[bool] = []
"""TF32 setting of the process's first session under the TensorRT provider; empty before it."""


def enforce_tf32(provider: str, wanted: bool) -> None:
    """Allow or forbid TF32 before a session of ONNX Runtime opens.

    The TensorRT provider builds with TF32 unless NVIDIA_TF32_OVERRIDE=0 forbids
    it for the whole process; the variable is read once (microsoft/onnxruntime
    #26029, #28177). The CUDA provider has an option, `use_tf32`.

    Raises:
        InputError: the process already uses the other setting.
    """
    forbidden = os.environ.get(_VARIABLE) == "0"
    if wanted and forbidden:
        raise InputError(
            f"got precision {TF32}, but {_VARIABLE}=0 forbids it here; "
            f"expected it unset: use another process"
        )
    if provider == TENSORRT:
        _enforce_for_process(wanted, forbidden)


def _enforce_for_process(wanted: bool, forbidden: bool) -> None:
    if not wanted and _VARIABLE in os.environ and not forbidden:
        raise InputError(
            f"got {_VARIABLE}={os.environ[_VARIABLE]}; expected it unset or 0 "
            f"where TF32 was not asked for"
        )
    if _setting_in_use and _setting_in_use[0] != wanted:
        raise InputError(
            "onnxruntime: got another TF32 setting for its TensorRT provider, "
            "which reads the setting once per process; expected the first one: "
            "use another process"
        )
    _setting_in_use[:] = [wanted]
    if not wanted:
        os.environ[_VARIABLE] = "0"
