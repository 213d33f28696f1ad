"""Match the tensors of another library's file to an architecture by their order.

Another library names the same layers otherwise. Its tensors fit if the modules
follow each other with the same leaf names and shapes. Order is weaker evidence
than names, so a file that fits in two ways is refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["OrderMismatch", "matched_by_order"]

_LEAVES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Other names of a normalisation's tensors."""


class OrderMismatch(ValueError):
    """The tensors do not match by order; the text states the first difference."""


class _Module(NamedTuple):
    """A module's name and its tensors' keys and shapes by leaf name."""

    name: str
    keys: dict[str, str]
    shapes: dict[str, torch.Size]


def matched_by_order(
    expected: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    *,
    in_order_of_names: bool,
) -> dict[str, Tensor]:
    """Rename tensors by the order of their modules.

    Args:
        expected: the tensors to match, in the architecture's order.
        given: the file's tensors, in its order; it may hold more.
        in_order_of_names: whether the file's format sorts keys by name, so that
            its order is not the network's. The numeric order of the names is
            then tried as well.

    Raises:
        OrderMismatch: the tensors differ, a leaf name is not known, or two orders
            fit.
    """
    wanted = _modules(expected)
    found = _modules(given)
    orders = [found]
    if in_order_of_names:
        orders.append(sorted(found, key=lambda module: _numeric(module.name)))
    faults = [_first_fault(wanted, order) for order in orders]
    matches = [
        _renamed(wanted, order, given)
        for order, fault in zip(orders, faults, strict=True)
        if not fault
    ]
    if not matches:
        raise OrderMismatch(faults[0])
    if not all(_same(match, matches[0]) for match in matches):
        raise OrderMismatch(
            "its tensors fit twice, as stored and in the order of the numbers "
            "in their names"
        )
    return matches[0]


def _modules(tensors: Mapping[str, Tensor]) -> list[_Module]:
    """Group keys by module, in the order of each module's first key.

    Raises:
        OrderMismatch: a module has two tensors of one leaf name.
    """
    modules: dict[str, _Module] = {}
    for key in tensors:
        name, _, leaf = key.rpartition(".")
        leaf = _LEAVES.get(leaf, leaf)
        module = modules.setdefault(name, _Module(name, {}, {}))
        if leaf in module.keys:
            raise OrderMismatch(f"{key} is there twice")
        module.keys[leaf] = key
        module.shapes[leaf] = tensors[key].shape
    return list(modules.values())


def _first_fault(wanted: Sequence[_Module], found: Sequence[_Module]) -> str:
    """Return the first difference in words; empty if there is none."""
    if len(found) < len(wanted):
        return (
            f"it has {len(found)} modules with tensors; {len(wanted)} are used"
        )
    for want, have in zip(wanted, found, strict=False):
        if want.shapes != have.shapes:
            return (
                f"{have.name or 'its first tensor'} has {_shown(have)}; "
                f"{want.name} expects {_shown(want)}"
            )
    return ""


def _renamed(
    wanted: Sequence[_Module],
    found: Sequence[_Module],
    given: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    renamed = {}
    for want, have in zip(wanted, found, strict=False):
        for leaf, key in want.keys.items():
            renamed[key] = given[have.keys[leaf]]
    return renamed


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(one[key] is other[key] for key in one)


def _numeric(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key by which `layer.2` comes before `layer.10`.

    >>> sorted(["b.10", "b.2", "a"], key=_numeric)
    ['a', 'b.2', 'b.10']
    """
    parts = re.findall(r"\d+|\D+", name)
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in parts
    ]


def _shown(module: _Module) -> str:
    return ", ".join(
        f"{leaf} {tuple(shape)}" for leaf, shape in module.shapes.items()
    )
