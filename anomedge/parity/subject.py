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
from anomedge.parity.plan import Plan
from anomedge.parity.records import Subject
from anomedge.parity.reference import Reference
from anomedge.progress import track
from anomedge.resample.outside_resize import Framing
from anomedge.runtimes import get, variant_of
from anomedge.threshold import Decision

__all__ = [
    "FrameDigest",
    "digest_of_decision",
    "digest_of_golden",
    "digests_of_frames",
    "subject_of",
]

_GOLDEN = "golden/"
_UNIFORM = 2


class FrameDigest(NamedTuple):
    """SHA-256 of the pixels of a frame, and whether the values of each channel differ by at most two grey levels."""

    sha256: str
    uniform: bool


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
        graphs=_graphs(bundle, plan),
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
    pictures = reference.pictures
    return [
        _digest_of_frame(picture.frame(frame))
        for picture in track(
            pictures, "digests of the pictures", total=len(pictures)
        )
    ]


def _digest_of_frame(
    pixels: Frame | npt.NDArray[np.float32],
) -> FrameDigest:
    spread = np.ptp(pixels.reshape(-1, pixels.shape[-1]), axis=0).max()
    return FrameDigest(
        sha256_of_bytes(pixels.tobytes()), bool(spread <= _UNIFORM)
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


def _graphs(bundle: Bundle, plan: Plan) -> dict[str, str]:
    """Return the digest of every file that the plan's runtimes open, by name."""
    variant, files = (
        bundle.variant(variant_of(plan.precision)),
        bundle.manifest.files,
    )
    given: set[str] = set()
    for runtime in plan.runtimes:
        kind = get(runtime)
        given |= {
            kind.file_of(variant, plan.options(runtime)),
            kind.file_of(variant, plan.options(runtime, stages=True)),
        }
    if any(name.endswith(".onnx") for name in given):
        # The tapped graph shares the main graph's weights.
        given |= {variant.graph(), f"{variant.graph()}.data"}
    given |= {
        name.removesuffix(".xml") + ".bin"
        for name in given
        if name.endswith(".xml")
    }
    return {name: files[name].sha256 for name in sorted(given & files.keys())}
