"""Device side: prove that a copy decides as the original, and certify it."""

from anomedge.parity.certificate import Certificate
from anomedge.parity.comparison import Comparison
from anomedge.parity.outputs import Outputs
from anomedge.parity.plan import Plan
from anomedge.parity.proof import prove
from anomedge.parity.reference import Reference
from anomedge.parity.runtime_proof import RuntimeProof, prove_runtime

__all__ = [
    "Certificate",
    "Comparison",
    "Outputs",
    "Plan",
    "Reference",
    "RuntimeProof",
    "prove",
    "prove_runtime",
]
