"""Record of an INT8 search of a memory bank, and the names of its stages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from anomedge.bundle.contracts import Frozen

__all__ = ["SEARCH_STAGES", "Int8Search"]

PROVEN, EXCESS = "search/proven", "search/excess"
SEARCH_STAGES = (PROVEN, EXCESS)
"""Outputs of the graph of stages beside the manifest's stages: they prove the search, and the original has none of them."""


class Int8Search(Frozen):
    """Candidates for the nearest vector come from an INT8 product, and are measured in the graph's precision.

    Attributes:
        candidates: vectors that are measured for each patch.
        limit: largest magnitude of the bank's integers; above 64, processors without VNNI, AMX or SDOT may saturate.
        bytes: of the INT8 copy of the bank.
    """

    candidates: Annotated[int, Field(ge=1, le=1024)]
    limit: Annotated[int, Field(ge=1, le=127)]
    bytes: Annotated[int, Field(ge=0)]
