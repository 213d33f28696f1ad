"""Print the result of an import."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from anomedge.commands._console import SafeConsole
from anomedge.commands._counts import counts_in_words
from anomedge.commands._threshold_lines import sensitivity_lines
from anomedge.files import canonical_json

if TYPE_CHECKING:
    from anomedge.interop.import_file import ImportedFile

__all__ = ["print_import"]


def print_import(imported: ImportedFile, output: Path, as_json: bool) -> None:
    """Print the source of everything in the model, line by line, and last the model itself."""
    model, decision = imported.model, imported.model.decision
    if as_json:
        content = decision.model_dump(mode="json") | {
            "detector": model.pipeline.name,
            "sha256": model.card.imported,
            "sha256_beside": model.card.imported_beside,
            "taken": [asdict(line) for line in imported.taken],
            "left_out": imported.left_out,
        }
        typer.echo(canonical_json(content), nl=False)
        return
    console = SafeConsole()
    for line in imported.taken:
        console.print(str(line))
    for text in sensitivity_lines(decision.origin):
        console.print(text)
    if imported.left_out:
        console.print(f"left out: {counts_in_words(imported.left_out)}")
    console.print(
        f"{output}: {model.pipeline.describe()}, {model.card.weights}; threshold {decision.threshold:.6g}, "
        f"{decision.origin.rule_in_words}; scale {decision.scale:.6g}"
    )
