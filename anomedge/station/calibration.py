"""Recalibrate a bundle's thresholds on a device, because light and lens differ between production lines."""

from __future__ import annotations

import getpass
import platform
import warnings
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from anomedge.bundle import Bundle, LocalSettings
from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes, sha256_of_file
from anomedge.images.distributions import (
    MeasuredFrame,
    distributions_of,
    measured,
)
from anomedge.inspector import Inspector, Result
from anomedge.names import printable, storable
from anomedge.progress import track
from anomedge.threshold import Cut, Scores, TailFit, interval_of_rate
from anomedge.threshold_rules.outliers import far_above
from anomedge.threshold_rules.rate import by_robust_rate

__all__ = ["author_and_time", "override_thresholds", "recalibrate"]

_NAMED = 10
"""Largest number of outlying pictures that are named."""


def recalibrate(
    inspector: Inspector, paths: Sequence[Path], source: str, rate: float
) -> LocalSettings:
    """Return local settings whose thresholds give a false-alarm rate of `rate` on normal pictures.

    The thresholds are placed as by the rule `rate` of a fit. Warnings are issued if there are too few pictures for the
    rate, and if some score far above the others.

    Args:
        inspector: the bundle, opened with the runtime of this device.
        paths: normal pictures of the bundle's frame size.
        source: origin of the pictures, for the record.
        rate: false-alarm rate, in (0, 1).

    Raises:
        InputError: fewer than two pictures, an unreadable picture or one of another size, a rate outside (0, 1), or the
            pictures that the detector was fitted to.
    """
    pictures_digest = _checked_digest(inspector.bundle, paths)
    results, statistics = _inspected(inspector, paths)
    scores = np.array([result.score for result in results])
    _warn_of_outliers(scores, paths)
    cut, tail = by_robust_rate(scores, rate)
    alarms = int((scores > cut.value).sum())
    interval = interval_of_rate(alarms, len(paths))
    _warn_of_few(cut, tail, rate, len(paths), interval[1])
    return LocalSettings(
        bundle=inspector.bundle.manifest.digest,
        threshold=cut.value,
        pixel_threshold=_threshold_of_maps(results, rate),
        minimum=float(scores.min()),
        maximum=float(scores.max()),
        pictures=f"{len(paths)} normal pictures: {storable(source)}",
        pictures_digest=pictures_digest,
        rate=rate,
        alarms=alarms,
        count=len(paths),
        interval=interval,
        normals=distributions_of(scores, statistics),
        **author_and_time(),
    )


def _inspected(
    inspector: Inspector, paths: Sequence[Path]
) -> tuple[list[Result], list[MeasuredFrame]]:
    results, statistics = [], []
    for path in track(paths, "scoring", total=len(paths)):
        frame = inspector.read(path)
        results += inspector.predict_batch([frame])
        statistics.append(measured(frame))
    return results, statistics


def _threshold_of_maps(results: Sequence[Result], rate: float) -> float | None:
    """Return the threshold of the largest map values; None for a detector without a map."""
    maps = [result.anomaly_map for result in results]
    peaks = [float(each.max()) for each in maps if each is not None]
    if not peaks:
        return None
    cut, _ = by_robust_rate(np.array(peaks), rate)
    return cut.value


def _checked_digest(bundle: Bundle, paths: Sequence[Path]) -> str:
    """Return the digest of all pictures; refuse too few, and those that the detector was fitted to."""
    if len(paths) < 2:
        raise InputError(
            f"got {len(paths)} pictures; expected at least 2 normal ones: give more"
        )
    digests = "".join(sha256_of_file(path) for path in paths)
    digest = sha256_of_bytes(digests.encode())
    origin = bundle.manifest.decision.origin
    if origin.folds and digest == origin.pictures:
        raise InputError(
            f"got the {len(paths)} pictures that the detector was fitted to, whose scores are too low; expected other "
            f"normal pictures, of this device's camera"
        )
    return digest


def _warn_of_few(
    cut: Cut, tail: TailFit | None, rate: float, count: int, highest: float
) -> None:
    """Say that there are too few pictures for the rate, and how the threshold was extrapolated."""
    if tail is not None:
        warnings.warn(
            f"{count} pictures are few for a rate of {rate:g}: the threshold was extrapolated by a tail model, to between "
            f"{tail.low:.4g} and {tail.high:.4g} with 95 % confidence",
            stacklevel=3,
        )
    elif cut.extrapolated:
        warnings.warn(
            f"{count} pictures are too few for a rate of {rate:g}: the threshold lies one typical gap above the largest "
            f"score; with 95 % confidence the rate is below {highest:.3g}",
            stacklevel=3,
        )


def _warn_of_outliers(scores: Scores, paths: Sequence[Path]) -> None:
    """Name the pictures with scores far above the others, highest first."""
    found = far_above(scores)
    if len(found):
        names = ", ".join(printable(paths[i].name) for i in found[:_NAMED])
        warnings.warn(
            f"{len(found)} of {len(paths)} normal pictures score far above the others: look at {names}; expected normal "
            f"pictures only: move away those that show a defect, and calibrate again",
            stacklevel=3,
        )


def override_thresholds(
    bundle: Bundle, threshold: float | None, pixel_threshold: float | None
) -> LocalSettings:
    """Return a bundle's local settings with new thresholds; None keeps the present value.

    Raises:
        InputError: both are None, a number is not finite, or the bundle has no map to set a threshold of.
    """
    given = {"threshold": threshold, "pixel_threshold": pixel_threshold}
    values = {name: value for name, value in given.items() if value is not None}
    if not values or not all(np.isfinite(value) for value in values.values()):
        raise InputError(
            f"got {given}; expected a finite number for at least one of them"
        )
    if pixel_threshold is not None and not bundle.manifest.has_map:
        raise InputError(
            "got a pixel threshold for a detector without an anomaly map; expected the threshold of the score alone: "
            "leave out --set-pixel"
        )
    overrides = {"threshold", "pixel_threshold", "minimum", "maximum"}
    kept = bundle.local.model_dump(include=overrides) if bundle.local else {}
    normals = bundle.local.normals if bundle.local else None
    digest = bundle.manifest.digest
    return LocalSettings(
        **(kept | values),
        bundle=digest,
        pictures="set by hand",
        normals=normals,
        **author_and_time(),
    )


def author_and_time() -> dict[str, str]:
    """Return the user and machine, and the time in UTC, as fields of the local settings."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user number may have no name
        user = "unknown"
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"by": f"{user} on {platform.node() or 'this machine'}", "when": now}
