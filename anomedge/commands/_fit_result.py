"""Print the result of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from anomedge.commands._console import SafeConsole
from anomedge.commands._counts import counts_in_words, unlabelled_in_words
from anomedge.commands._threshold_lines import sensitivity_lines
from anomedge.files import canonical_json

if TYPE_CHECKING:
    from anomedge.pipelines.model import Model
    from anomedge.pipelines.splitting import Split

__all__ = ["print_result"]


def print_result(
    fitted: Model, split: Split, output: Path, as_json: bool
) -> None:
    """Print the decision, and last the numbers of pictures that were fitted to, held back and left out."""
    decision, origin = fitted.decision, fitted.decision.origin
    counts = _counts_of(split)
    if as_json:
        content = decision.model_dump(mode="json") | {
            "pictures": counts | {"left_out": split.left_out}
        }
        typer.echo(canonical_json(content), nl=False)
        return
    for line in sensitivity_lines(origin):
        SafeConsole().print(line)
    SafeConsole().print(
        f"{output}: {fitted.pipeline.describe()}; "
        f"threshold {decision.threshold:.6g} by {origin.rule_in_words} from {origin.normal + origin.anomalous} pictures "
        f"({origin.source}), scale {decision.scale:.6g}"
    )
    if origin.alarms is not None:
        SafeConsole().print(
            f"labelled pictures: {origin.caught} of {origin.anomalous} anomalous ones above the threshold, and "
            f"{origin.alarms} of {origin.normal} normal ones"
        )
    used = ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in counts.items()
    )
    left_out = counts_in_words(split.left_out) or "none"
    unlabelled = unlabelled_in_words(split.unlabelled)
    line = f"pictures: {used}; left out: {left_out}; {unlabelled}"
    SafeConsole().print(line.removesuffix("; "))


def _counts_of(split: Split) -> dict[str, int]:
    """Return the numbers of pictures by their use."""
    sample = split.sample
    if sample.folds:
        return {"fitted": len(split.fitted)}
    if sample.anomalous:
        labelled = len(sample.normal) + len(sample.anomalous)
        return {"fitted": len(split.fitted), "labelled": labelled}
    return {"fitted": len(split.fitted), "held_back": len(sample.normal)}
