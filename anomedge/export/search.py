"""The search of a memory bank in an exported graph: of the whole bank in float32, or of INT8 candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anomedge.bundle import Int8Search
from anomedge.components.estimators.int8_search import (
    EVERY_PROCESSOR,
    WITH_DOT_PRODUCTS,
)
from anomedge.errors import InputError
from anomedge.export.options import ExportOptions
from anomedge.pipelines.banks import BankPipeline
from anomedge.pipelines.model import Model
from anomedge.precisions import PRECISIONS
from anomedge.runtimes.processor import adds_byte_products

__all__ = [
    "SEARCHES",
    "check_search",
    "check_searched",
    "record_of",
    "with_search",
]

SEARCHES = ("fp32", "int8", "auto")
_PAYS_FROM = 5000
"""Smallest bank of `auto`: a bank of 1,000 vectors is slower with candidates, one of 10,000 is faster."""


def check_search(options: ExportOptions) -> None:
    """Check that the search exists and suits the precisions.

    Raises:
        InputError: it does not.
    """
    if options.search not in SEARCHES:
        raise InputError(
            f"got search {options.search!r}; expected one of: {', '.join(SEARCHES)}"
        )
    if options.search == "int8" and (rounded := _rounded(options)):
        raise InputError(
            f"got search int8 with precision {rounded[0]}; expected precisions with the bank in float32, which the proof of "
            f"the search measures: leave one of the two out"
        )


def check_searched(model: Model, options: ExportOptions) -> None:
    """Check that a detector has the bank that is to be searched.

    Raises:
        InputError: an INT8 search of a detector without a memory bank.
    """
    pipeline = model.pipeline
    if options.search == "int8" and not isinstance(pipeline, BankPipeline):
        raise InputError(
            f"got search int8 for {pipeline.name}; expected a detector with a memory bank: leave --search out"
        )


def with_search(model: Model, options: ExportOptions) -> Model:
    """Return the model with the search that its graphs get.

    Raises:
        InputError: an INT8 search of a detector without a memory bank.
    """
    check_searched(model, options)
    pipeline = model.pipeline
    if options.search == "fp32" or not isinstance(pipeline, BankPipeline):
        return model
    fast = adds_byte_products()
    if options.search == "auto" and not (
        fast
        and pipeline.config.n_vectors >= _PAYS_FROM
        and not _rounded(options)
    ):
        return model
    limit = WITH_DOT_PRODUCTS if fast else EVERY_PROCESSOR
    return replace(model, pipeline=pipeline.with_int8_search(limit=limit))


def record_of(model: Model) -> Int8Search | None:
    """Return the manifest's record of an INT8 search; None for a search of the whole bank."""
    search: Any = getattr(getattr(model.pipeline, "bank", None), "search", None)
    if search is None:
        return None
    return Int8Search(
        candidates=search.candidates, limit=search.limit, bytes=search.bytes
    )


def _rounded(options: ExportOptions) -> list[str]:
    """Return the precisions that do not store the bank in float32."""
    members = {name: PRECISIONS.get(name) for name in options.precisions}
    return [
        name
        for name, member in members.items()
        if member.half_storage or member.int8_storage
    ]
