"""Describe the thresholds of a bundle and their origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anomedge.bundle import Bundle, LocalSettings
from anomedge.commands._units import format_share
from anomedge.errors import BundleError
from anomedge.names import printable, storable
from anomedge.threshold import Decision, Origin

if TYPE_CHECKING:
    from anomedge.parity.carried_contracts import CarriedContracts

__all__ = [
    "contract_line",
    "local_fields",
    "local_note",
    "planned_lines",
    "sensitivity_lines",
    "threshold_lines",
]


def sensitivity_lines(origin: Origin) -> list[str]:
    """Return a table of false-alarm rates against caught synthetic defects; no line without synthetic defects."""
    measured = origin.sensitivity
    if measured is None:
        return []
    kinds = ", ".join(
        f"{printable(kind)} {share:.0%}"
        for kind, share in measured.kinds.items()
    )
    lines = [
        f"{measured.defects} synthetic defects on the normal pictures (no real ones): AUROC {measured.auroc:.3f}",
        "  threshold   false alarms   caught",
    ]
    for row in measured.rows:
        lines.append(
            f"  {row.threshold:<9.5g}   {row.false_alarms:>12.1%}   {row.caught:>6.0%}"
        )
    lines.append(
        f"  in force: {measured.false_alarms:.1%} false alarms, {measured.caught:.0%} caught ({kinds})"
    )
    return lines


def threshold_lines(bundle: Bundle, local: LocalSettings | None) -> list[str]:
    """Return lines of text on the thresholds in force and their origin."""
    lines = _manifest_lines(bundle)
    if local is None:
        place = _place(bundle)
        return [*lines, f"in force   the manifest's: there is no {place}"]
    lines += _settings_lines("local", local)
    if local.threshold is not None:
        moved = _moved(bundle, local.threshold)
        lines.append(
            f"in force   {_place(bundle)}, which moves the threshold by {moved}"
        )
    return lines


def planned_lines(bundle: Bundle, planned: LocalSettings | None) -> list[str]:
    """Return lines of text on thresholds that a dry run did not write, and on those that remain in force."""
    lines = _manifest_lines(bundle)
    if planned is None:
        lines.append("dry run    the manifest's")
    else:
        lines += _settings_lines("dry run", planned)
    effect = f"           nothing was written; without --dry-run, {_place(bundle)} would "
    if planned is None:
        lines.append(f"{effect}be removed")
    elif planned.threshold is None:
        lines.append(f"{effect}have these values")
    else:
        moved = _moved(bundle, planned.threshold)
        lines.append(f"{effect}move the threshold by {moved}")
    return [*lines, _remaining_line(bundle)]


def _remaining_line(bundle: Bundle) -> str:
    """Return a line of text on the thresholds that remain in force after a dry run."""
    try:
        decision, local = bundle.decision, bundle.local
    except BundleError as error:
        return f"in force   nothing: {error}"
    origin = "the manifest's" if local is None else f"of {_place(bundle)}"
    return f"in force   still threshold {decision.threshold:.6g}{_of_pixels(decision)}, {origin}"


def _moved(bundle: Bundle, threshold: float) -> str:
    manifest = bundle.manifest.decision
    return format_share(
        threshold - manifest.threshold, manifest.scale, "the scale", sign="+"
    )


def _manifest_lines(bundle: Bundle) -> list[str]:
    manifest = bundle.manifest.decision
    return [
        f"manifest   threshold {manifest.threshold:.6g}{_of_pixels(manifest)}: {_aimed(manifest)}",
        *_sensitivity_line(manifest.origin),
    ]


def _settings_lines(title: str, local: LocalSettings) -> list[str]:
    """Return lines of text on the values of local settings and their origin."""
    values = {
        "threshold": local.threshold,
        "pixels": local.pixel_threshold,
        "lowest shown": local.minimum,
        "highest shown": local.maximum,
    }
    shown = ", ".join(
        f"{name} {value:.6g}"
        for name, value in values.items()
        if value is not None
    )
    lines = [
        f"{title:<10} {shown or 'nothing'}: {printable(local.pictures)}; {printable(local.by)}, {printable(local.when)}"
    ]
    if local.interval is not None:
        low, high = local.interval
        lines.append(
            f"           {local.alarms} of {local.count} above it, aimed at {local.rate:g}; "
            f"with 95 % confidence the false-alarm rate is between {low:.3g} and {high:.3g}"
        )
    return lines


def contract_line(found: CarriedContracts) -> str:
    """Return a line of text on the contracts that the graphs carry, for programs that read the graph alone."""
    if found.faults:
        more = len(found.faults) - 1
        others = f" and {more} more" if more else ""
        return f"in graphs  not the manifest's: {printable(found.faults[0])}{others}; run verify"
    if not found.carried:
        return "in graphs  no contract: a program that has the graph alone needs the manifest; export again to add it"
    if not found.is_whole:
        return f"in graphs  a contract in {found.carried} of {found.graphs} graphs; expected all of them: run verify"
    stated = f"in graphs  the manifest's contract, in all {found.graphs}"
    if not found.overridden:
        return f"{stated}; a program that has the graph alone decides as here"
    names = ", ".join(found.overridden)
    return f"{stated}, without the local values ({names}): a program that has the graph alone decides otherwise; use threshold --bake"


def local_fields(bundle: Bundle, local: LocalSettings | None) -> dict[str, Any]:
    """Return settings of a device and their path, for JSON; None without any."""
    if local is None:
        return {"local": None, "local_path": None}
    return {
        "local": local.model_dump(mode="json", exclude_none=True),
        "local_path": storable(str(bundle.local_path)),
    }


def _place(bundle: Bundle) -> str:
    """Return local.json, with its folder if that is not the bundle."""
    path = bundle.local_path
    return path.name if path.parent == bundle.path else printable(str(path))


def _aimed(decision: Decision) -> str:
    """Return the rule, the sample and the margin of a threshold."""
    origin = decision.origin
    if origin.rule == "baked":
        by = f" ({printable(origin.baked_by)})" if origin.baked_by else ""
        return f"{origin.rule_in_words}{by}; scale: {origin.scale_in_words}"
    if not origin.has_pictures:
        return f"{origin.rule_in_words}; {origin.sample_in_words}"
    aimed = f"{origin.rule_in_words} on {origin.sample_in_words}"
    margin = "margin " + format_share(
        origin.margin, decision.scale, "the scale", digits=2
    )
    return f"{aimed}; {margin}" + ", extrapolated" * origin.extrapolated


def local_note(bundle: Bundle, local: LocalSettings) -> str:
    """Return one line that says that local.json is in force, and its origin."""
    decision, made = bundle.decision, bundle.manifest.decision
    origin = "; ".join(
        part for part in (local.pictures, local.by, local.when) if part
    )
    pixels = ""
    if decision.has_map:
        pixels = f"{_of_pixels(decision)} ({made.threshold_of_map:.6g})"
    return (
        f"{_place(bundle)} is in force: threshold {decision.threshold:.6g} (the manifest's: {made.threshold:.6g}){pixels}; "
        f"{origin or 'it does not say who set it'}"
    )


def _of_pixels(decision: Decision) -> str:
    if not decision.has_map:
        return ""
    return f", pixels {decision.threshold_of_map:.6g}"


def _sensitivity_line(origin: Origin) -> list[str]:
    measured = origin.sensitivity
    if measured is None:
        return []
    return [
        f"           {measured.caught:.0%} of {measured.defects} synthetic defects are above it, and "
        f"{measured.false_alarms:.1%} of the normal pictures; AUROC {measured.auroc:.3f}"
    ]
