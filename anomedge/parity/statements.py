"""Check the manifest's statements on golden frames and value ranges, and list how each field is proven."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from anomedge.bundle import Bundle, Manifest
from anomedge.bundle.ranges import SAFETY, Range
from anomedge.files import sha256_of_bytes
from anomedge.images import Picture
from anomedge.parity.pictures import (
    EXTREME,
    SYNTHETIC,
    extremes,
)
from anomedge.parity.reference import GOLDEN, GoldenOutputs, Reference
from anomedge.precisions import PRECISIONS
from anomedge.resample.outside_resize import generated_size, stated_size

__all__ = [
    "STATED",
    "STATEMENTS",
    "faults_of_statements",
    "needs_ranges",
]

STATED = "as the bundle states, not proven"
"""Shown beside statements that a proof cannot check."""

_BY_MODEL = "compared with the model file"
_BY_GRAPHS = "compared with every graph's file"
_ON_READING = "checked when the bundle is opened"

STATEMENTS: dict[str, str] = {
    "schema_version": _ON_READING,
    "detector": f"{_BY_MODEL}; another one is refused",
    "config": f"{_BY_MODEL}; another one is refused",
    "input": f"{_BY_GRAPHS}, and by wrong input that must be refused",
    "outputs": _BY_GRAPHS,
    "stages": f"{_BY_MODEL}, and {_BY_GRAPHS}",
    "image": _BY_MODEL,
    "decision": _BY_MODEL,
    "tolerances": "at most those of the installed release",
    "variants": "name every graph; those left out are said",
    "opset": _BY_GRAPHS,
    "golden.name": f"of extreme frames: compared with the pixels; of others: {STATED}",
    "golden.frame": "run through eager Torch and compared with the stored outputs",
    "golden.anomalous": f"compared with the same picture in --images; of others: {STATED}",
    "golden.generated": f"of extreme frames: compared with the pixels; of others: {STATED}",
    "golden.stages": "stored stages are compared with eager Torch's",
    "golden_source": "compared with the marks of the golden frames",
    "model": "compared with the digest of the model file; another one is said",
    "tools": f"shown: {STATED}",
    "licence": _BY_MODEL,
    "ranges": "computed again from the model file; observed values within a factor of 16",
    "quantisation": _BY_MODEL,
    "search": f"candidates and limit: compared with the graphs, the limit unless networks are quantised; bytes: {STATED}",
    "files": _ON_READING,
    "digest": _ON_READING,
}
"""Every field of the manifest, and how `verify --model` proves it. docs/security.md has this table."""

_FACTOR = SAFETY**2
"""Ranges that depend on pictures may differ so much between those of the export and those of the proof."""

_EXACT = 0.01
"""Largest relative difference of ranges that do not depend on pictures; they are stored with four digits."""

_SMALLEST = 1e-6


def _faults_of_golden(bundle: Bundle, golden: Reference) -> Iterator[str]:
    """Yield one phrase per golden frame that is not what its name says, and one if their source is not.

    Args:
        bundle: the bundle.
        golden: its golden frames.
    """
    made = [picture.generated for picture in golden.pictures]
    has_synthetic = SYNTHETIC in made
    own = [how for how in made if how in (None, SYNTHETIC)]
    source = "synthetic" if has_synthetic or not own else "pictures"
    if own and source != bundle.manifest.golden_source:
        yield f"golden_source is {bundle.manifest.golden_source!r}; by their marks the frames are {source!r}"
    framing = bundle.manifest.framing
    for picture in golden.pictures:
        if picture.generated == EXTREME and not _is_extreme(
            picture, generated_size(framing)
        ):
            yield f"{picture.name[:60]!r} is not the generated frame of that name"


def _is_extreme(picture: Picture, size: tuple[int, int]) -> bool:
    """Whether a picture is the extreme frame of its name; nothing of the stated size is made for another size."""
    pixels = picture.frame()
    if pixels.shape[:2] != size:
        return False
    made = {each.name: each for each in extremes(size)}
    wanted = made.get(picture.name)
    return wanted is not None and np.array_equal(pixels, wanted.frame())


def _faults_of_labels(
    bundle: Bundle, reference: Reference, golden: GoldenOutputs
) -> Iterator[str]:
    """Yield one phrase per golden frame whose label is not that of the same picture in the reference."""
    size = stated_size(bundle.manifest.framing)
    known = _labels(reference.pictures, size)
    for picture in golden.stored.pictures:
        label = known.get(_digest(picture, size))
        if label is not None and picture.anomalous is not label:
            yield f"{picture.name[:60]!r} is labelled {picture.anomalous}; {label} in the pictures given"


def _labels(
    pictures: Sequence[Picture], size: tuple[int, int] | None
) -> dict[str, bool]:
    """Return the labels of pictures by the digest of their frames."""
    return {
        _digest(picture, size): picture.anomalous
        for picture in pictures
        if picture.anomalous is not None
    }


def _digest(picture: Picture, size: tuple[int, int] | None) -> str:
    return sha256_of_bytes(np.ascontiguousarray(picture.frame(size)).tobytes())


def _faults_of_ranges(
    bundle: Bundle, computed: Sequence[Range]
) -> Iterator[str]:
    """Yield one phrase per value range that differs from the one that the model file gives on this proof's pictures.

    Args:
        bundle: the bundle.
        computed: ranges computed from the model file.
    """
    stated = {(r.part, r.name): r for r in bundle.manifest.ranges}
    found = {(r.part, r.name): r for r in computed}
    for key in dict.fromkeys((*stated, *found)):
        one, other = stated.get(key), found.get(key)
        if one is None or other is None:
            where = "not stated" if one is None else "not one of the model's"
            yield f"{key[1][:60]} is {where}"
        elif one.halved != other.halved or not _agree(one, other):
            yield f"{one.name[:60]} is {_values(one)}; {_values(other)} by the model file"


def needs_ranges(manifest: Manifest) -> bool:
    """Whether a manifest states value ranges, or has a variant whose export computes them."""
    written = PRECISIONS.members()
    half = [
        name
        for name in manifest.variants
        if name in written and written[name].half_networks
    ]
    return bool(half or manifest.ranges)


def _agree(one: Range, other: Range) -> bool:
    exact = one.halved and other.halved and other.bound is not None
    pairs = [(one.seen, other.seen), (one.bound, other.bound)]
    factor = 1 + _EXACT if exact else _FACTOR
    same_least = _near(one.least, other.least, 1 + _EXACT)
    return same_least and all(_near(*pair, factor) for pair in pairs)


def _near(one: float | None, other: float | None, factor: float) -> bool:
    """Whether two magnitudes are within a factor; nothing observed counts as zero."""
    a, b = max(one or 0.0, _SMALLEST), max(other or 0.0, _SMALLEST)
    return max(a, b) <= factor * min(a, b)


def _values(quantity: Range) -> str:
    return (
        f"seen {quantity.seen}, bound {quantity.bound}, least {quantity.least}"
    )


def faults_of_statements(
    bundle: Bundle, reference: Reference
) -> dict[str, str]:
    """Return the faults of every check of this module, by its name; empty for a check that passed.

    Without a model file only golden frames are checked, if they are the reference. Call it once the graphs' files have
    confirmed the frame's size, to which pictures are stretched.
    """
    original = reference.original
    golden = original.golden if original is not None else None
    faults: dict[str, list[str]] = {}
    if golden is not None:
        faults["golden statements"] = [
            *_faults_of_golden(bundle, golden.stored),
            *_faults_of_labels(bundle, reference, golden),
        ]
    elif reference.source == GOLDEN:
        faults["golden statements"] = list(_faults_of_golden(bundle, reference))
    if original is not None and original.ranges is not None:
        faults["ranges"] = list(_faults_of_ranges(bundle, original.ranges))
    return {name: _joined(lines) for name, lines in faults.items()}


def _joined(lines: list[str]) -> str:
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return "; ".join(lines[:3]) + more
