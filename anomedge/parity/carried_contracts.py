"""State whether the graphs of a bundle carry a contract, and whether it fits the decision in force.

Files are read here without a runtime; a proof also compares them as OpenVINO reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

from anomedge.bundle import Bundle
from anomedge.bundle.operators import faults_of_ir, faults_of_onnx
from anomedge.parity.metadata import (
    contract_in,
    differing_entries,
    shipped_graphs,
)

__all__ = ["CarriedContracts", "carried_contracts"]

_DECIDING = ("threshold", "pixel_threshold", "minimum", "maximum")
"""Values that `local.json` may override."""


@dataclass(frozen=True)
class CarriedContracts:
    """Contracts in the graphs that programs open.

    Attributes:
        graphs: number of these graphs, ONNX and IR.
        carried: number of graphs with a contract.
        faults: one phrase per graph that cannot be read, or whose contract is not the manifest's.
        overridden: values of the export's decision that `local.json` overrides.
    """

    graphs: int
    carried: int
    faults: tuple[str, ...]
    overridden: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether a program with any graph alone decides as the bundle does here."""
        return self.is_whole and not self.overridden

    @property
    def is_whole(self) -> bool:
        """Whether every graph carries the manifest's contract."""
        return self.carried == self.graphs and not self.faults


def carried_contracts(bundle: Bundle) -> CarriedContracts:
    """Read the contract of every graph that programs open."""
    graphs = list(shipped_graphs(bundle))
    carried, faults = 0, []
    for role, name in graphs:
        content = bundle.read(name)
        check = faults_of_ir if name.endswith(".xml") else faults_of_onnx
        fault = next(iter(check(content)), None)
        if fault is not None:
            faults.append(f"{name} {fault}")
            continue
        found = contract_in(name, content)
        carried += bool(found)
        differing = differing_entries(bundle, role, found) if found else []
        faults += [f"{name}: {each}" for each in differing[:1]]
    made, in_force = bundle.manifest.decision, bundle.decision
    overridden = [
        key for key in _DECIDING if getattr(made, key) != getattr(in_force, key)
    ]
    return CarriedContracts(
        len(graphs), carried, tuple(faults), tuple(overridden)
    )
