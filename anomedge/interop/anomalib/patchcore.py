"""PatchCore of anomalib: a bank of normal patches."""

from __future__ import annotations

from anomedge.errors import ModelError
from anomedge.interop.anomalib.backbone import feature_extractor
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.blur import SIGMA, refuse_other_blur
from anomedge.interop.anomalib.foreign import ForeignModel, Taken
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    said_precision,
    tensor_of,
)
from anomedge.pipelines.patchcore import Patchcore, PatchcoreConfig

__all__ = ["ImportedPatchcore"]

Size = tuple[int, int]

_BANK = "memory_bank"
_PARTS = (_BANK, "feature_extractor.", "anomaly_map_generator.")
_MOST_NEIGHBORS = 1024


class ImportedPatchcore(ImportedDetector):
    """PatchCore, the nearest normal patches, as `anomedge.pipelines.patchcore.Patchcore`."""

    name = "patchcore"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has a bank, a backbone and nothing of another model."""
        return tensors_fit(foreign, _PARTS[:2], _PARTS)

    @classmethod
    def build(
        cls, foreign: ForeignModel, size: Size, taken: Taken
    ) -> Patchcore:
        """Return the fitted PatchCore; see `ImportedDetector.build`."""
        bank = tensor_of(foreign, _BANK, 2, "bank of normal patches")
        neighbors = _neighbors(foreign, bank.shape[0])
        refuse_other_blur(foreign)
        extractor = feature_extractor(foreign, size, taken)
        if bank.shape[1] != sum(extractor.channels):
            raise ModelError(
                f"got a bank of vectors with {bank.shape[1]} features; expected {sum(extractor.channels)}, "
                f"the channels of {', '.join(extractor.layers)}"
            )
        # Loaded first: only then are its sizes known to be those of its bytes.
        vectors = loaded(bank, _BANK)
        config = PatchcoreConfig.of(
            extractor,
            size,
            sigma=SIGMA,
            n_vectors=len(vectors),
            num_neighbors=neighbors,
            upsampling="nearest",
        )
        pipeline = Patchcore(config, extractor).eval()
        pipeline.bank.fill(vectors)
        said_precision("bank", [bank.dtype], taken)
        taken.add(
            "bank",
            f"{bank.shape[0]:,} vectors of {bank.shape[1]} features",
            "file",
        )
        taken.add("neighbours of the score", neighbors, "file")
        return pipeline


def _neighbors(foreign: ForeignModel, vectors: int) -> int:
    """Return the number of neighbours of the score's re-weighting.

    Raises:
        ModelError: not a number in range, or a bank for which anomalib's score
            is undefined.
    """
    value = foreign.arguments.get("num_neighbors")
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= int(value or 0) <= _MOST_NEIGHBORS:
        raise ModelError(
            f"got num_neighbors {shown(value)} in the hyper-parameters; expected 1 to {_MOST_NEIGHBORS}"
        )
    if vectors == 1 and value != 1:
        raise ModelError(
            f"got a bank of one vector with num_neighbors {value}; expected more vectors, because anomalib's score of "
            f"one is always 0: fit with a larger coreset_sampling_ratio"
        )
    return int(value or 0)
