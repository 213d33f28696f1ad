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
from anomedge.inspector import Inspector
from anomedge.names import storable
from anomedge.progress import track
from anomedge.threshold import by_false_alarm_rate, interval_of_rate

__all__ = ["author_and_time", "override_thresholds", "recalibrate"]


def recalibrate(
    inspector: Inspector, paths: Sequence[Path], source: str, rate: float
) -> LocalSettings:
    """Return local settings whose thresholds give a false-alarm rate of `rate` on normal pictures.

    The thresholds are placed as in the fit. A warning is issued if there are too few pictures for the rate.

    Args:
        inspector: the bundle, opened with the runtime of this device.
        paths: normal pictures of the bundle's frame size.
        source: origin of the pictures, for the record.
        rate: false-alarm rate, in (0, 1).

    Raises:
        InputError: fewer than two pictures, an unreadable picture or one of another size, or a rate outside (0, 1).
    """
    if len(paths) < 2:
        raise InputError(
            f"got {len(paths)} pictures; expected at least 2 normal ones: give more"
        )
    results = [
        inspector.predict_batch([path])[0]
        for path in track(paths, "scoring", total=len(paths))
    ]
    scores = np.array([result.score for result in results])
    peaks = np.array([float(result.anomaly_map.max()) for result in results])
    cut = by_false_alarm_rate(scores, rate)
    pixel_cut = by_false_alarm_rate(peaks, rate)
    alarms = int((scores > cut.value).sum())
    interval = interval_of_rate(alarms, len(paths))
    if cut.extrapolated:
        warnings.warn(
            f"{len(paths)} pictures are too few for a rate of {rate:g}: the threshold lies one typical gap above the "
            f"largest score; with 95 % confidence the rate is below {interval[1]:.3g}",
            stacklevel=2,
        )
    digests = "".join(sha256_of_file(path) for path in paths)
    return LocalSettings(
        bundle=inspector.bundle.manifest.digest,
        threshold=cut.value,
        pixel_threshold=pixel_cut.value,
        minimum=float(scores.min()),
        maximum=float(scores.max()),
        pictures=f"{len(paths)} normal pictures: {storable(source)}",
        pictures_digest=sha256_of_bytes(digests.encode()),
        rate=rate,
        alarms=alarms,
        count=len(paths),
        interval=interval,
        **author_and_time(),
    )


def override_thresholds(
    bundle: Bundle, threshold: float | None, pixel_threshold: float | None
) -> LocalSettings:
    """Return a bundle's local settings with new thresholds; None keeps the present value.

    Raises:
        InputError: both are None, or a number is not finite.
    """
    given = {"threshold": threshold, "pixel_threshold": pixel_threshold}
    values = {name: value for name, value in given.items() if value is not None}
    if not values or not all(np.isfinite(value) for value in values.values()):
        raise InputError(
            f"got {given}; expected a finite number for at least one of them"
        )
    overrides = {"threshold", "pixel_threshold", "minimum", "maximum"}
    kept = bundle.local.model_dump(include=overrides) if bundle.local else {}
    digest = bundle.manifest.digest
    return LocalSettings(
        **(kept | values),
        bundle=digest,
        pictures="set by hand",
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
