"""Report what a device has, which runtimes open a bundle on it and how fast, and what is not verified; no torch.

Each probe is a file in `anomedge.doctor.probes`. Every probe and every opening runs in a process of its own with a time
limit, because vendors' libraries may crash or hang.
"""

from anomedge.doctor.base import Finding, Probe
from anomedge.registry import Registry

__all__ = ["PROBES", "Finding", "Probe"]

PROBES: Registry[Probe] = Registry(
    package="anomedge.doctor.probes",
    group="anomedge.probes",
    kind="probe",
    base=Probe,
)
