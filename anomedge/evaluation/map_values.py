"""Collect the map values of a data set in bounded memory.

A float32 value has a key, an integer of 32 bits in the same order. All values are
kept exactly as long as at most `MOST_VALUES` of them differ; beyond, the lowest
bits of all keys are dropped until they fit. Values within a factor of 16 of each
other, as those of most maps, then keep 20 significant bits.

Each picture also leaves a sketch: its counts over keys of 10 significant bits of
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

MOST_VALUES = 4_000_000
"""Number of different values that are told apart; 100 MB of memory."""
SKETCH_BITS = 10
"""Significant bits of the distance to the threshold in a sketch."""
_SIGNIFICAND = 24
"""Significant bits of float32, the leading one included."""
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

    def add(self, values: Values, mask: Mask) -> None:
        """Add the map (H, W) of one picture and its mask (H, W)."""
        keys = _without_bits(_keys_of(values), self._dropped)
        normal = keys[~mask]
        self._negatives.add(normal, np.ones((1, normal.size)))
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
        columns = np.zeros((3, negatives.keys.size + positives.keys.size))
        columns[0, : negatives.keys.size] = negatives.columns[0]
        columns[1:, negatives.keys.size :] = positives.columns
        keys, columns = grouped(
            np.concatenate([negatives.keys, positives.keys]), columns
        )
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
        self._added: list[tuple[Keys, Array]] = []

    @property
    def pending(self) -> int:
        """Number of values that are not merged yet."""
        return sum(keys.size for keys, _ in self._added)

    def add(self, keys: Keys, columns: Array) -> None:
        """Add the values of one picture."""
        self._added.append(grouped(keys, columns))

    def merge(self, dropped: int) -> None:
        """Merge all values, without their `dropped` lowest bits."""
        parts = [(self.keys, self.columns), *self._added]
        self._added = []
        keys = np.concatenate([keys for keys, _ in parts])
        columns = np.concatenate([columns for _, columns in parts], axis=1)
        self.keys, self.columns = grouped(_without_bits(keys, dropped), columns)


def sketch_of(values: Values, mask: Mask, threshold: float) -> Sketch:
    """Sketch the map (H, W) of one picture with its mask (H, W).

    Args:
        values: the map.
        mask: true pixels are anomalous.
        threshold: value near which the sketch is finest.
    """
    dropped = _SIGNIFICAND - SKETCH_BITS
    distance = (values - np.float64(threshold)).astype(np.float32)
    keys = _without_bits(_keys_of(distance).ravel(), dropped)
    columns = np.zeros((3, keys.size), dtype=np.float64)
    columns[0] = ~mask.ravel()
    if mask.any():
        columns[1] = mask.ravel()
        columns[2, mask.ravel()] = 1 / regions_of(mask).sizes
    found, sums = grouped(keys, columns)
    return Sketch(found, sums.astype(np.float32))


def merged_sketches(sketches: list[Sketch], threshold: float) -> Curve:
    """Add up sketches that were made with one threshold."""
    keys, columns = grouped(
        np.concatenate([sketch.keys for sketch in sketches]),
        np.concatenate([sketch.columns for sketch in sketches], axis=1).astype(
            np.float64
        ),
    )
    plain = _curve(keys, columns, _SIGNIFICAND - SKETCH_BITS)
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
    """Return the curve of ascending keys whose lowest bits were dropped."""
    highest = keys | np.uint32((1 << dropped) - 1)
    descending = columns[:, ::-1]
    return Curve(
        Counts(descending[0], descending[1], descending[2]),
        _values_of(keys[::-1]),
        _values_of(highest[::-1]),
    )
