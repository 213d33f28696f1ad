"""Rewrite an exported graph: one pass per file, found by directory and in the entry-point group `anomedge.passes`.

The order follows from the passes' `after`; passes that it leaves free run by name. Example of a pass::

    class DropIdentities(Pass):
        name = "drop_identities"
        after = ("select_channels_early",)

        def rewrite(self, model): ...
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import onnx

from anomedge.errors import ExportError
from anomedge.export.passes.base import Pass, Target
from anomedge.registry import Registry

__all__ = ["PASSES", "Pass", "Target", "apply_passes", "in_order"]

PASSES: Registry[Pass] = Registry(
    package=__name__, group="anomedge.passes", kind="graph pass", base=Pass
)


def apply_passes(model: onnx.ModelProto, target: Target) -> list[str]:
    """Apply every pass to a graph in place; return the names of those that changed it.

    Raises:
        ExportError: a pass found its requirements or its result violated, or the passes have no order.
    """
    for fault in PASSES.faults().values():
        warnings.warn(fault, stacklevel=2)
    changed = []
    for member in in_order(PASSES.members()):
        if member(target).apply(model):
            changed.append(member.name)
    return changed


def in_order(members: Mapping[str, type[Pass]]) -> list[type[Pass]]:
    """Return passes so that each comes after those it names in `after`; ties are broken by name.

    Raises:
        ExportError: a pass names an unknown pass, or the constraints form a cycle.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, member in members.items():
        unknown = sorted(set(member.after) - members.keys())
        if unknown:
            raise ExportError(
                f"pass {name} runs after {', '.join(unknown)}; expected passes of: {', '.join(members)}"
            )
        sorter.add(name, *member.after)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise ExportError(
            f"got passes that run after one another: {cycle}; expected an order: change their `after`"
        ) from error
    return [members[name] for name in _sorted_names(sorter)]


def _sorted_names(sorter: TopologicalSorter[str]) -> list[str]:
    names: list[str] = []
    while sorter.is_active():
        for name in sorted(sorter.get_ready()):
            names.append(name)
            sorter.done(name)
    return names
