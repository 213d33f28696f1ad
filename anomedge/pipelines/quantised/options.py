"""Options of a quantisation, and the largest change of decisions that it may cause."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from anomedge.errors import InputError
from anomedge.images import Picture

__all__ = ["Budget", "QuantiseOptions"]


@dataclass(frozen=True)
class Budget:
    """Largest change of decisions.

    Args:
        flips: labels that may differ from the float detector's.
        auroc_drop: by how much the AUROC may fall.
        rounding: by how much float32 rounding may move maps and scores, as a share of the scale, if some choice of layers allows that.
    """

    flips: int = 0
    auroc_drop: float = 0.002
    rounding: float = math.inf

    def check(self) -> None:
        """Refuse a budget out of range.

        Raises:
            InputError: a negative number, or an AUROC drop above 1.
        """
        if not self.rounding >= 0:
            raise InputError(
                f"got an effect of rounding of at most {self.rounding}; expected 0 or more"
            )
        if self.flips < 0:
            raise InputError(
                f"got at most {self.flips} flips; expected 0 or more"
            )
        if not 0 <= self.auroc_drop <= 1:
            raise InputError(
                f"got an AUROC drop of at most {self.auroc_drop}; expected one from 0 to 1, such as 0.002"
            )


@dataclass(frozen=True)
class QuantiseOptions:
    """Options of a quantisation.

    Args:
        pictures: normal pictures, to calibrate the scales and to estimate the statistics again.
        refit_on: normal pictures to estimate the statistics again on; empty: `pictures`.
        labelled: pictures with labels, to compare decisions on as well; empty: synthetic defects only.
        proven: further pictures to compare decisions on, whatever their labels: those of the proof.
        refit: whether to estimate the statistics again.
        budget: largest change of decisions.
        batch: images per batch.
    """

    pictures: Sequence[Picture]
    refit_on: Sequence[Picture] = ()
    labelled: Sequence[Picture] = ()
    proven: Sequence[Picture] = ()
    refit: bool = True
    budget: Budget = field(default_factory=Budget)
    batch: int = 8
