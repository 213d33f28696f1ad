"""Combinations of runtime, processor and device that no test of this project has run on."""

from __future__ import annotations

import platform

from anomedge import runtimes

__all__ = ["unverified"]

_TESTED_MACHINES = {"x86_64", "AMD64"}
_TESTED = {("onnxruntime", "CPUExecutionProvider"), ("openvino", "CPU")}


def unverified(runtime: str, running_on: str, machine: str = "") -> str:
    """Return what is not verified of a runtime on a device; "" where every test of the project ran.

    Args:
        runtime: full name.
        running_on: the real device.
        machine: processor architecture; this machine's if empty.

    >>> unverified("openvino", "CPU", "x86_64")
    ''
    """
    architecture = machine or platform.machine()
    distribution = runtimes.registry.distribution(runtime)
    if distribution is not None:
        return (
            f"a plugin of {distribution}, which anomedge's tests do not cover"
        )
    if (runtime, running_on) not in _TESTED:
        return f"{runtime} on {running_on} was never run by the project's tests"
    if architecture not in _TESTED_MACHINES:
        return f"{runtime} on a {architecture} board was never run by the project's tests"
    return ""
