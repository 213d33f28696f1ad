"""The kinds of rules. A target's file says which of them hold there, with which numbers, and where that is written.

Each kind is one class with one method: it yields the places of a graph that break it, a node or None for the whole
graph, with what was found there. A new kind is a class in `of_nodes` or `of_graphs`, and its name below.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from anomedge.lint.of_graphs import (
    Dimensions,
    Domain,
    FileSize,
    Functions,
    Integers,
    Opset,
    Precision,
    Static,
    Volume,
)
from anomedge.lint.of_nodes import (
    Attribute,
    Boundary,
    Constant,
    Equation,
    Limit,
    Outputs,
    Present,
    Rank,
    Supported,
    Types,
)

__all__ = ["Check"]

Check = Annotated[
    Supported | Types | Boundary | Attribute | Rank | Constant | Limit | Outputs | Present | Equation
    | Opset | Domain | Functions | Volume | Dimensions | FileSize | Static | Integers | Precision,
    Field(discriminator="kind"),
]  # fmt: skip
