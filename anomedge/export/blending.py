"""Pictures that a proof makes from the user's: blends near the thresholds and at other levels, and other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomedge.images import Picture
from anomedge.parity.blends import Blend, Runner, blends
from anomedge.parity.composition import generator_of
from anomedge.parity.crossing import Window
from anomedge.parity.levels import blends_at_levels
from anomedge.parity.sizes import scaled_pictures
from anomedge.resample.outside_resize import (
    Framing,
    OutsideResize,
    generated_size,
)
from anomedge.threshold import Decision

__all__ = ["BlendMaker"]


@dataclass(frozen=True)
class BlendMaker:
    """Make pictures for a proof, with the outputs of eager Torch.

    A picture is left out if its score is so near to a threshold that a copy within tolerance may give the other label.

    Args:
        pictures: the N pictures given, and extreme frames.
        scores: their scores (N,).
        decisions: the decision of the export, and the one in force where a local threshold changes it.
        framing: how pictures become the graph's input.
        run: maps frames, uint8 (B, H, W, 3), to the outputs of eager Torch.
    """

    pictures: Sequence[Picture]
    scores: npt.NDArray[np.floating]
    decisions: Sequence[Decision]
    framing: Framing
    run: Runner

    def at_thresholds(self, count: int) -> list[Blend]:
        """Return up to `count` blends near each threshold."""
        found = []
        for decision in self.decisions:
            found += blends(
                self.pictures, self.scores, decision, self._frame, self.run, count
            )  # fmt: skip
        return self._decided(found)

    def at_levels(self, seed: int) -> list[Blend]:
        """Return blends at other levels than the threshold of the export, which the seed draws."""
        found = blends_at_levels(
            self.pictures, self.scores, self.decisions[0], self._frame, self.run, generator_of(seed, "levels"),
        )  # fmt: skip
        return self._decided(found)

    def in_other_sizes(self, seed: int) -> list[Blend]:
        """Return pictures in sizes that the seed draws; none for a graph of frames of one size."""
        if not isinstance(self.framing, OutsideResize):
            return []
        made = scaled_pictures(
            self.pictures,
            self.scores,
            self.decisions[0].threshold,
            self.framing.geometry,
            generator_of(seed, "sizes"),
        )
        found = [Blend(each, self.run(each.frame()[None])) for each in made]
        return self._decided(found)

    @property
    def _frame(self) -> tuple[int, int]:
        return generated_size(self.framing)

    def _decided(self, found: Sequence[Blend]) -> list[Blend]:
        return [
            blend
            for blend in found
            if not any(_is_near(blend, each) for each in self.decisions)
        ]


def _is_near(blend: Blend, decision: Decision) -> bool:
    """Return whether a copy within tolerance may give the other label."""
    distance = abs(float(blend.outputs.score[0]) - decision.threshold)
    return distance < Window.of(decision).least / 2
