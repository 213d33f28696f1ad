"""OpenVINO: its release, its devices with their drivers, and the precisions that each computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomedge.doctor.base import Finding, Probe
from anomedge.doctor.vendor import imported, one_line
from anomedge.runtimes.imports import import_openvino

__all__ = ["OpenVino"]


class OpenVino(Probe):
    """OpenVINO and its devices."""

    name = "openvino"
    title = "OpenVINO"
    order = 50

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Import it; then ask each device for its name and driver."""
        vendor, finding = imported(cls.name, cls.title, import_openvino)
        yield finding
        if vendor is None:
            return
        core = vendor.Core()
        for device in core.available_devices:
            yield _device(core, device)


def _device(core: Any, device: str) -> Finding:
    """Return name, driver and precisions of a device."""
    title = f"device {device}"
    try:
        parts = [str(core.get_property(device, "FULL_DEVICE_NAME"))]
        for name in core.get_property(device, "SUPPORTED_PROPERTIES"):
            if str(name).endswith("DRIVER_VERSION"):
                driver = core.get_property(device, str(name))
                parts.append(f"driver {driver}")
        known = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
        parts.append(" ".join(map(str, known)))
    except Exception as error:  # noqa: BLE001 - vendors raise anything
        return Finding(title, f"listed, fails: {one_line(error)}", "broken")
    return Finding(title, ", ".join(parts))
