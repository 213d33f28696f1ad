"""Ways in which a proof makes pictures, beside those that the user gives."""

from __future__ import annotations

from typing import Literal

__all__ = ["Generated"]

Generated = Literal["blended", "extreme", "level", "scaled", "synthetic"]
"""`anomedge.parity.pictures` describes each."""
