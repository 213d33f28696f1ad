"""Advice on a failed proof that would pass without some of the precisions."""

from __future__ import annotations

from anomedge.parity import Certificate

__all__ = ["advice_on_precisions"]


def advice_on_precisions(certificate: Certificate) -> str:
    """Return which precisions to leave out, so that the proof passes; an empty text where that is not enough."""
    rows = certificate.places_of_rows
    precisions = dict.fromkeys(cell.precision for cell in certificate.cells)
    failed = [
        each
        for each in precisions
        if not certificate.without(
            {row for row in rows if row[1] != each}
        ).passed
    ]
    if not failed or len(failed) == len(precisions):
        return ""
    gone = {row for row in rows if row[1] in failed}
    if not certificate.without(gone).passed:
        return ""
    options = " and ".join(f"--precision {each}" for each in failed)
    kept = ", ".join(each for each in precisions if each not in failed)
    return f"\n  without {options} the proof passes: export {kept} alone"
