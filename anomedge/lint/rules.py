"""All kinds of rules. A target's file lists the rules that apply to it, with their parameters and sources.

Each kind is a class with one method that yields violations: a node, or None for the whole graph, and a description. A
new kind is a class in `node_rules` or `graph_rules`, added to the union below.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from anomedge.lint.graph_rules import (
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
from anomedge.lint.node_rules import (
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

__all__ = ["AnyRule"]

AnyRule = Annotated[
    Supported | Types | Boundary | Attribute | Rank | Constant | Limit | Outputs | Present | Equation
    | Opset | Domain | Functions | Volume | Dimensions | FileSize | Static | Integers | Precision,
    Field(discriminator="kind"),
]  # fmt: skip
