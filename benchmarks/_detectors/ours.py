"""anomedge's side: fit, import of anomalib's checkpoint, figures, and the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _detectors.cases import Case
from _import.ours import command, golden_of

from anomedge.evaluation import evaluate
from anomedge.evaluation.records import LevelFigures
from anomedge.export.eager import EagerSession
from anomedge.images import read_picture
from anomedge.pipelines.model import load


class CommandFailed(Exception):
    """A command of anomedge failed; the message is the last line of its errors."""


def fit(
    case: Case,
    pictures: Path,
    weights: Path,
    path: Path,
    asked: dict[str, Any],
    *,
    by_labels: bool = False,
) -> float:
    """Fit to the normal pictures; return the seconds of the command.

    The threshold comes from the normal pictures held back, or, by labels, from the test pictures, as anomalib's.
    """
    size = f"{asked['size']}x{asked['size']}"
    given: list[object] = ["--size", size]
    given += (
        ["--labelled", pictures / "set"]
        if by_labels
        else ["--held-back", pictures / "held-back"]
    )
    given += [*case.options(), "--weights", weights]
    if case.trained:
        given += ["--epochs", asked["epochs"], "--train-batch", 8]
    return _command(
        "fit", case.detector, pictures / "good", "-o", path, *given, "--force"
    )


def import_checkpoint(checkpoint: Path, pictures: Path, path: Path) -> float:
    """Import anomalib's checkpoint; return the seconds of the command."""
    given = ["--held-back", pictures / "held-back", "--force"]
    return _command("import", checkpoint, "-o", path, *given)


def export(
    path: Path,
    pictures: Path,
    bundle: Path,
    size: int,
    batch: str = "dynamic",
) -> float:
    """Export with the proof; return the seconds of the command."""
    golden = golden_of(pictures, bundle.with_suffix(".golden"))
    given = ["--frame", f"{size}x{size}", "--golden", golden, "--force"]
    given += ["--batch", batch]
    return _command("export", path, "-o", bundle, *given)


def figures(path: Path, pictures: Path) -> dict[str, Any]:
    """Return AUROC, AUPRO, F1 and counts of a model file on the test pictures, in eager Torch."""
    column = evaluate(path, pictures / "set").columns[0]
    pixel = column.pixel
    rates = (column.image.false_alarm_rate, column.image.recall)
    return {
        "image": _value(column.image, "auroc"),
        "pixel": _value(pixel, "auroc"),
        "aupro": _value(pixel, "aupro"),
        "f1": _value(column.image, "f1"),
        "best_f1": _value(column.image, "best_f1"),
        "counts": [[rate.count, rate.of] for rate in rates if rate],
    }


def errors(
    detector: str, path: Path, theirs: dict[str, Any]
) -> dict[str, float | None]:
    """Return the largest errors of raw score and map, as shares of the range of anomalib's values."""
    session = EagerSession(load(path), path)
    frames = [read_picture(Path(each)) for each in theirs["paths"]]
    outputs = [session.run({"frames": frame[None]}) for frame in frames]
    scores = np.array([float(each["score"][0]) for each in outputs])
    if detector == "dfkde":
        scores = _probability(scores)
    found = {"score": _error(scores, theirs["scores"]), "map": None}
    if theirs["maps"] is not None:
        maps = np.stack([each["anomaly_map"][0].squeeze() for each in outputs])
        found["map"] = _error(maps, theirs["maps"])
    return found


def _probability(scores: Any) -> Any:
    """Return anomalib's score of DFKDE, 1 / (1 + exp(0.05 (log p - 12))), of ours, -log p."""
    return 1 / (1 + np.exp(0.05 * (-scores - 12)))


def _error(ours: Any, theirs: Any) -> float:
    spread = float(theirs.max() - theirs.min())
    return float(np.abs(ours - theirs).max()) / spread


def _value(figures: LevelFigures | None, name: str) -> float | None:
    figure = getattr(figures, name, None)
    return None if figure is None else float(figure.value)


def _command(*arguments: object) -> float:
    """Run a command; return its seconds."""
    name, *given = arguments
    done = command(str(name), *given)
    if done["code"]:
        raise CommandFailed(f"{name}: {done['last'][:300]}")
    seconds: float = done["seconds"]
    return seconds
