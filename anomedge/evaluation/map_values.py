"""Collect the map values of a data set in bounded memory.

A float32 value has a key, an integer of 32 bits in the same order. All values are
kept exactly as long as at most `MOST_VALUES` of them differ; beyond, the lowest
bits of all keys are dropped until they fit. Values within a factor of 16 of each
other, as those of most maps, then keep 19 significant bits.

Each picture also leaves a sketch: its counts over keys of 8 significant bits of
the distance to the pixel threshold. Intervals and figures by kind of defect are
computed from sketches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.curve import Counts, Curve, grouped
from anomedge.evaluation.regions import regions_of
from anomedge.images import Mask

__all__ = [
    "MOST_VALUES",
    "SKETCH_BITS",
    "MapValues",
    "Sketch",
    "merged_sketches",
    "sketch_of",
]

MOST_VALUES = 2_000_000
"""Number of different values that are told apart."""
SKETCH_BITS = 8
"""Significant bits of the distance to the threshold in a sketch."""
_SIGNIFICAND = 24
"""Significant bits of float32, the leading one included."""
_DROPPED = _SIGNIFICAND - SKETCH_BITS
_SIGN = np.uint32(1 << 31)

Keys = npt.NDArray[np.uint32]
Values = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sketch:
    """Counts of one picture's map values over coarse keys.

    Attributes:
        keys: distinct keys, ascending, (k,).
        columns: negatives, positives and coverage at each key, float32 (3, k).
    """

    keys: Keys
    columns: npt.NDArray[np.float32]


class MapValues:
    """All map values of a data set, with the label of each pixel.

    Args:
        most: number of different values that are told apart.
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._dropped = 0
        self._negatives = _Tally(1)
        self._positives = _Tally(2)

    @property
    def significant_bits(self) -> int:
        """Significant bits of the values that are kept; 24 is all of float32."""
        return _SIGNIFICAND - self._dropped

    def add(
        self, values: Values, mask: Mask, normal: Mask | None = None
    ) -> None:
        """Add the map (H, W) of one picture.

        Args:
            values: the map.
            mask: true for anomalous pixels (H, W).
            normal: true for normal pixels (H, W); all others if None.
        """
        keys = _without_bits(_keys_of(values), self._dropped)
        self._negatives.add(keys[~mask if normal is None else normal])
        if mask.any():
            shares = 1 / regions_of(mask).sizes
            columns = np.stack([np.ones(shares.size), shares])
            self._positives.add(keys[mask], columns)
        if self._pending > self._most:
            self._compress()

    def curve(self) -> Curve:
        """Return the counts at each kept value, in descending order."""
        self._compress()
        negatives, positives = self._negatives, self._positives
        keys = np.union1d(negatives.keys, positives.keys)
        columns = np.zeros((3, keys.size))
        columns[0, np.searchsorted(keys, negatives.keys)] = negatives.columns
        columns[1:, np.searchsorted(keys, positives.keys)] = positives.columns
        return _curve(keys, columns, self._dropped)

    @property
    def _pending(self) -> int:
        return self._negatives.pending + self._positives.pending

    def _compress(self) -> None:
        """Merge the values added since; drop bits until few enough differ."""
        tallies = (self._negatives, self._positives)
        for tally in tallies:
            tally.merge(self._dropped)
        while sum(tally.keys.size for tally in tallies) > self._most:
            self._dropped += 1
            for tally in tallies:
                tally.merge(self._dropped)


class _Tally:
    """Sums of `rows` columns at each key; additions are merged later."""

    def __init__(self, rows: int) -> None:
        self.keys: Keys = np.empty(0, dtype=np.uint32)
        self.columns: Array = np.empty((rows, 0))
        self.pending = 0
        self._counted: list[Keys] = []
        self._weighted: list[tuple[Keys, Array]] = []

    def add(self, keys: Keys, columns: Array | None = None) -> None:
        """Add keys (n,) with columns (rows, n); without columns, count them."""
        self.pending += keys.size
        if columns is None:
            self._counted.append(keys)
        else:
            self._weighted.append((keys, columns))

    def merge(self, dropped: int) -> None:
        """Merge all values, without their `dropped` lowest bits."""
        parts = [(self.keys, self.columns), *self._weighted]
        if self._counted:
            parts.append(_counts_of(np.concatenate(self._counted), dropped))
        self._counted, self._weighted, self.pending = [], [], 0
        keys = np.concatenate([keys for keys, _ in parts])
        columns = np.concatenate([columns for _, columns in parts], axis=1)
        self.keys, self.columns = grouped(_without_bits(keys, dropped), columns)


def _counts_of(keys: Keys, dropped: int) -> tuple[Keys, Array]:
    """Count equal keys, without their `dropped` lowest bits."""
    found, counts = np.unique(_without_bits(keys, dropped), return_counts=True)
    return found, counts[None].astype(np.float64)


def sketch_of(
    values: Values, mask: Mask, threshold: float, normal: Mask | None = None
) -> Sketch:
    """Sketch the map (H, W) of one picture with its mask (H, W).

    Args:
        values: the map.
        mask: true pixels are anomalous.
        threshold: value near which the sketch is finest.
        normal: true pixels are normal; all others if None.
    """
    distance = (values - np.float64(threshold)).astype(np.float32)
    keys = _keys_of(distance) >> np.uint32(_DROPPED)
    anomalous = keys[mask]
    columns = np.zeros((3, 1 << (32 - _DROPPED)))
    for row, chosen, weights in (
        (0, keys[~mask if normal is None else normal], None),
        (1, anomalous, None),
        (2, anomalous, 1 / regions_of(mask).sizes),
    ):
        columns[row] = np.bincount(chosen, weights, columns.shape[1])
    found = np.flatnonzero(columns.any(axis=0))
    return Sketch(
        found.astype(np.uint32) << np.uint32(_DROPPED),
        columns[:, found].astype(np.float32),
    )


def merged_sketches(sketches: list[Sketch], threshold: float) -> Curve:
    """Add up sketches that were made with one threshold."""
    keys, columns = grouped(
        np.concatenate([sketch.keys for sketch in sketches]),
        np.concatenate([sketch.columns for sketch in sketches], axis=1).astype(
            np.float64
        ),
    )
    plain = _curve(keys, columns, _DROPPED)
    return Curve(plain.counts, plain.lower + threshold, plain.upper + threshold)


def _keys_of(values: Values) -> Keys:
    """Return the keys of float32 values; both zeros have one key."""
    plain = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0)
    bits = plain.view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _without_bits(keys: Keys, dropped: int) -> Keys:
    """Set the `dropped` lowest bits to zero."""
    return keys & ~np.uint32((1 << dropped) - 1)


def _values_of(keys: Keys) -> Array:
    """Return the values of keys."""
    bits: Keys = np.where(keys & _SIGN, keys ^ _SIGN, ~keys)
    return bits.view(np.float32).astype(np.float64)


def _curve(keys: Keys, columns: Array, dropped: int) -> Curve:
    """Convert ascending keys, rounded down by `dropped` bits, and their counts (3, k) to a curve."""
    highest = keys | np.uint32((1 << dropped) - 1)
    descending = columns[:, ::-1]
    return Curve(
        Counts(descending[0], descending[1], descending[2]),
        _values_of(keys[::-1]),
        _values_of(highest[::-1]),
    )
