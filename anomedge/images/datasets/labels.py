"""Labels and splits as people write them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from anomedge.errors import InputError
from anomedge.images.datasets.base import Split
from anomedge.names import printable

__all__ = [
    "ANOMALOUS",
    "NORMAL",
    "SPLITS",
    "canonical",
    "kind_of_label",
    "normal_label_among",
]

NORMAL = frozenset(
    {
        "good", "ok", "okay", "normal", "normals", "pass", "passed", "defect_free", "no_defect", "free", "mt_free",
        "non_defective",
    }
)  # fmt: skip
"""Labels of normal pictures, in canonical form."""
ANOMALOUS = frozenset(
    {
        "bad", "ng", "nok", "not_ok", "not_good", "ko", "defect", "defects", "defective", "anomaly", "anomalies", "anomalous",
        "abnormal", "fail", "failed", "faulty", "reject", "rejected",
    }
)  # fmt: skip
"""Labels of anomalous pictures that name no kind of defect, in canonical form."""
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_DIGITS = {"0", "1"}
_SIMILAR = 0.8


def canonical(label: str) -> str:
    """Return a label in lower case, with underscores for spaces and hyphens.

    >>> canonical("Defect-Free")
    'defect_free'
    """
    return label.strip().casefold().replace("-", "_").replace(" ", "_")


def kind_of_label(label: str) -> str:
    """Return the kind of defect that a label names; empty for a general label such as `ng`.

    >>> kind_of_label("scratch"), kind_of_label("NG")
    ('scratch', '')
    """
    general = ANOMALOUS | {"1"}
    return "" if canonical(label) in general else label.strip()


def normal_label_among(
    labels: Iterable[str], given: str | None, place: str
) -> str | None:
    """Return which of the labels is that of normal pictures, as it is written there; None if none is known.

    `0` is known as normal if `1` is the only other label.

    Args:
        labels: the labels of a data set.
        given: the label that the user named, or None.
        place: where the labels stand, for messages.

    Raises:
        InputError: the given label is not among them, or several are known.
    """
    found = sorted(set(labels))
    forms = {label: canonical(label) for label in found}
    if given is not None:
        chosen = [label for label in found if label == given] or [
            label for label in found if forms[label] == canonical(given)
        ]
        if len(chosen) != 1:
            raise InputError(
                f"{place}: got the normal label {given!r}; expected one of {_shown(found)}"
            )
        return chosen[0]
    if set(forms.values()) == _DIGITS and len(found) == len(_DIGITS):
        return min(found, key=canonical)
    normal = [label for label in found if forms[label] in NORMAL]
    if len(normal) > 1:
        raise InputError(
            f"{place}: got {_shown(normal)}, each a name of normal pictures; expected one of them: name it with "
            f"--normal-label"
        )
    return normal[0] if normal else None


def similar_label(label: str) -> str | None:
    """Return the known label that another one is probably a misspelling of, or None.

    >>> similar_label("nromal"), similar_label("scratch")
    ('normal', None)
    """
    form = canonical(label)
    if form in NORMAL | ANOMALOUS:
        return None
    known = sorted(NORMAL | ANOMALOUS)
    close = difflib.get_close_matches(form, known, n=1, cutoff=_SIMILAR)
    return close[0] if close else None


def _shown(labels: Iterable[str]) -> str:
    return ", ".join(printable(label) for label in labels)
