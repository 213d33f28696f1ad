"""Device side: does a copy decide as the original? Collect outputs, compare them, judge decisions, certify."""

from anomedge.parity.certificate import Certificate
from anomedge.parity.compare import Outputs
from anomedge.parity.prove import Plan, Reference, prove

__all__ = ["Certificate", "Outputs", "Plan", "Reference", "prove"]
