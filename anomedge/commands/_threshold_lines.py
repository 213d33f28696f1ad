"""Describe the thresholds of a bundle and their origin."""

from __future__ import annotations

from anomedge.bundle import Bundle, LocalSettings
from anomedge.names import printable

__all__ = ["local_note", "threshold_lines"]


def threshold_lines(bundle: Bundle, local: LocalSettings | None) -> list[str]:
    """Return lines of text on the thresholds in force and their origin."""
    manifest, origin = bundle.manifest.decision, bundle.manifest.decision.origin
    rule = f"false-alarm rate {origin.rate:g}" if origin.rate else "best F1"
    aimed = f"{rule} on {origin.normal} normal and {origin.anomalous} anomalous pictures ({origin.source})"
    margin = f"margin {origin.margin / manifest.scale:.2%} of the scale" + (
        ", extrapolated" * origin.extrapolated
    )
    lines = [
        f"manifest   threshold {manifest.threshold:.6g}, pixels {manifest.pixel_threshold:.6g}: {aimed}; {margin}",
    ]
    if local is None:
        return [*lines, "in force   the manifest's: there is no local.json"]
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
    lines.append(
        f"local      {shown or 'nothing'}: {printable(local.pictures)}; {printable(local.by)}, {printable(local.when)}"
    )
    if local.interval is not None:
        low, high = local.interval
        lines.append(
            f"           {local.alarms} of {local.count} above it, aimed at {local.rate:g}; "
            f"with 95 % confidence the false-alarm rate is between {low:.3g} and {high:.3g}"
        )
    if local.threshold is not None:
        moved = (local.threshold - manifest.threshold) / manifest.scale
        lines.append(
            f"in force   local.json, which moves the threshold by {moved:+.1%} of the scale"
        )
    return lines


def local_note(bundle: Bundle, local: LocalSettings) -> str:
    """Return one line that says that local.json is in force, and its origin."""
    decision, made = bundle.decision, bundle.manifest.decision
    origin = "; ".join(
        part for part in (local.pictures, local.by, local.when) if part
    )
    return (
        f"local.json is in force: threshold {decision.threshold:.6g} (the manifest's: {made.threshold:.6g}), pixels "
        f"{decision.pixel_threshold:.6g} ({made.pixel_threshold:.6g}); {origin or 'it does not say who set it'}"
    )
