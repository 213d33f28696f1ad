"""Device side: does a copy decide as the original? Collect outputs, compare them, judge decisions, certify."""

from anomedge.parity.certificate import Certificate
from anomedge.parity.compare import Outputs
from anomedge.parity.plan import Plan, Reference
from anomedge.parity.prove import prove

__all__ = ["Certificate", "Outputs", "Plan", "Reference", "prove"]
