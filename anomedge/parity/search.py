"""Proof of an INT8 search: the graph of stages tells for which patches the nearest vector was certainly found.

A search that misses the nearest vector measures the distance to another one, which is larger. So the largest distance of a
picture is right if its patch is proven, whatever was found for the others.

The original has no such stages, so a proof does not check what the graph says of itself; distances, map and score are
compared with the original's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anomedge.bundle import SEARCH_STAGES, Int8Search
from anomedge.errors import BundleError
from anomedge.parity.comparison import Comparison
from anomedge.parity.outputs import FRAMES
from anomedge.parity.records import CheckResult
from anomedge.progress import track
from anomedge.runtimes import Session, Tensors
from anomedge.runtimes.processor import adds_byte_products, instruction_sets

__all__ = [
    "CHECK",
    "DISTANCES",
    "SearchProof",
    "check_search",
    "notes_on_search",
]

DISTANCES = "distances"
"""Stage behind which the stages of a search stand."""
CHECK = "int8"
"""Name of the check of a search."""

_EVERY_PROCESSOR = 64
_UNCHECKED = "by the graph's own statement, which is not checked"


@dataclass(frozen=True)
class SearchProof:
    """How much of a search is proven.

    Attributes:
        patches: number of patches.
        proven: of them, those whose nearest vector was certainly found.
        pictures: number of pictures.
        exact: of them, those whose most distant patch is proven.
        excess: the most by which the largest distance of one of the others can be too large.
    """

    patches: int = 0
    proven: int = 0
    pictures: int = 0
    exact: int = 0
    excess: float = 0.0

    def __add__(self, other: SearchProof) -> SearchProof:
        return SearchProof(
            self.patches + other.patches,
            self.proven + other.proven,
            self.pictures + other.pictures,
            self.exact + other.exact,
            max(self.excess, other.excess),
        )

    @classmethod
    def of_picture(cls, stages: Tensors) -> SearchProof:
        """Return the proof of one picture from its stages.

        Raises:
            BundleError: a stage is missing, or holds impossible values.
        """
        names = (DISTANCES, *SEARCH_STAGES)
        if missing := [name for name in names if name not in stages]:
            raise BundleError(
                f"the graph of stages has no {missing[0]}; expected it of an INT8 search: export again"
            )
        distances, proven, excess = (stages[name][0].ravel() for name in names)
        if not (np.isin(proven, (0, 1)).all() and (excess >= 0).all()):
            raise BundleError(
                f"{' or '.join(SEARCH_STAGES)} has impossible values; expected 0 or 1, and no negative excess: export "
                f"again"
            )
        exact = bool(proven[distances.argmax()] == 1)
        least = float((distances - excess).max())
        return cls(
            patches=proven.size,
            proven=int(proven.sum()),
            pictures=1,
            exact=int(exact),
            excess=0.0 if exact else float(distances.max()) - least,
        )

    def describe(self, scale: float) -> str:
        """Describe the proof in one line."""
        share = self.proven / max(self.patches, 1)
        text = (
            f"{share:.2%} of the patches are proven, and the most distant patch of {self.exact} of {self.pictures} "
            f"pictures, {_UNCHECKED}"
        )
        if self.exact == self.pictures:
            return text
        return f"{text}; the largest distance of the others is too large by at most {self.excess / scale:.1e} of the scale"


def check_search(
    session: Session, comparison: Comparison, search: Int8Search | None
) -> Iterator[CheckResult]:
    """Yield the proof of an INT8 search on every picture; nothing for a search of the whole bank.

    It always passes: whether scores agree is measured against the original.

    Raises:
        BundleError: the graph of stages does not have the stages of a search.
    """
    if search is None:
        return
    proof = SearchProof()
    pictures = comparison.reference.pictures
    for picture in track(
        pictures, f"{session.name}, search", total=len(pictures)
    ):
        pixels = picture.frame(comparison.frame)
        frames = np.repeat(pixels[None], comparison.smallest_batch, axis=0)
        proof += SearchProof.of_picture(session.run({FRAMES: frames}))
    yield CheckResult(
        runtime=session.name,
        kind="search",
        name=CHECK,
        detail=proof.describe(comparison.decision.scale),
        passed=True,
    )


def notes_on_search(search: Int8Search | None) -> Iterator[str]:
    """Yield a caution if this processor may saturate the products of the search."""
    if search is None or search.limit <= _EVERY_PROCESSOR:
        return
    if instruction_sets() and not adds_byte_products():
        yield (
            "the INT8 search was exported for processors with VNNI, AMX or SDOT, and this one has none: its products may "
            "saturate; export with --search fp32"
        )
