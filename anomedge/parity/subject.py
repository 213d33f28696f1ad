"""Digests of the subject of a proof, by which a certificate is matched with a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle, Manifest
from anomedge.files import canonical_json, sha256_of_bytes
from anomedge.images import Frame
from anomedge.parity.comparison import Comparison
from anomedge.parity.expected import graphs_of
from anomedge.parity.likeness import Likeness, spaced_pixels
from anomedge.parity.plan import Plan
from anomedge.parity.records import Subject
from anomedge.parity.reference import Reference
from anomedge.progress import track
from anomedge.resample.outside_resize import Framing
from anomedge.threshold import Decision

__all__ = [
    "FrameDigest",
    "digest_of_decision",
    "digest_of_golden",
    "digests_of_frames",
    "subject_of",
]

_GOLDEN = "golden/"
_UNIFORM = 8
_OUTLIERS = 0.01


class FrameDigest(NamedTuple):
    """SHA-256 of the pixels of a frame, and whether it is weak evidence.

    Attributes:
        sha256: digest of the pixels.
        uniform: whether the values of each channel, without the lowest and the highest hundredth, differ by at most eight
            grey levels: noise of a dark sensor shows as little as a black frame.
        repeated: whether the user gave an earlier picture that is equal or nearly so.
    """

    sha256: str
    uniform: bool
    repeated: bool = False


def subject_of(
    bundle: Bundle,
    comparison: Comparison,
    plan: Plan,
    frames: Sequence[FrameDigest],
) -> Subject:
    """Compute the digests of all inputs of a verdict on this bundle.

    Args:
        bundle: the bundle proven.
        comparison: the reference and the decision in force.
        plan: runtimes and options of the copies.
        frames: digests of the reference's pictures.
    """
    reference = comparison.reference
    return Subject(
        graphs=graphs_of(bundle.manifest, plan.precision),
        golden=digest_of_golden(bundle.manifest),
        decision=digest_of_decision(comparison.decision),
        pictures=_digest_of_pictures(reference, frames),
        model=reference.original.digest if reference.original else None,
    )


def digest_of_decision(decision: Decision) -> str:
    """Compute the SHA-256 of a decision: thresholds, scale, normalisation and origin."""
    return sha256_of_bytes(canonical_json(decision.model_dump(mode="json")))


def digest_of_golden(manifest: Manifest) -> str:
    """Compute the SHA-256 of the golden entries of the manifest and of their files."""
    files = {
        name: record.sha256
        for name, record in manifest.files.items()
        if name.startswith(_GOLDEN)
    }
    entries = [entry.model_dump(mode="json") for entry in manifest.golden]
    return sha256_of_bytes(canonical_json({"entries": entries, "files": files}))


def digests_of_frames(
    reference: Reference, frame: Framing | None
) -> list[FrameDigest]:
    """Read every picture once and compute its digest.

    Args:
        reference: the pictures.
        frame: how they become the graph's input; None to leave them as they are.
    """
    pictures, seen = reference.pictures, Likeness()
    title = "digests of the pictures"
    digests = []
    for picture in track(pictures, title, total=len(pictures)):
        digest = _digest_of_frame(pixels := picture.frame(frame))
        if picture.generated is None and not digest.uniform:
            repeated = seen.is_repeated(digest.sha256, pixels)
            digest = digest._replace(repeated=repeated)
        digests.append(digest)
    return digests


def _digest_of_frame(
    pixels: Frame | npt.NDArray[np.float32],
) -> FrameDigest:
    values = spaced_pixels(pixels).reshape(-1, pixels.shape[-1])
    low, high = np.quantile(values, (_OUTLIERS, 1 - _OUTLIERS), axis=0)
    return FrameDigest(
        sha256_of_bytes(pixels.tobytes()), bool((high - low).max() <= _UNIFORM)
    )


def _digest_of_pictures(
    reference: Reference, frames: Sequence[FrameDigest]
) -> str:
    digest = hashlib.sha256()
    for picture, frame in zip(reference.pictures, frames, strict=True):
        name = repr(picture.name).encode("utf-8", "backslashreplace")
        digest.update(hashlib.sha256(name).digest())
        digest.update(bytes.fromhex(frame.sha256))
    return digest.hexdigest()
