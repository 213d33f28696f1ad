"""A device's own threshold, from normal pictures that it took itself: light and lens differ from line to line."""

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

__all__ = ["recalibrated", "set_by_hand", "who_and_when"]


def recalibrated(
    inspector: Inspector, paths: Sequence[Path], source: str, rate: float
) -> LocalSettings:
    """Thresholds at which a share `rate` of the normal pictures is called anomalous, as the fit places them.

    Args:
        inspector: the bundle as it runs here.
        paths: normal pictures of the bundle's frame size.
        source: where they came from, for the record.
        rate: false-alarm rate, in (0, 1).

    Returns:
        What to write into `local.json`. A warning says so when the pictures are too few for the rate.

    Raises:
        InputError: fewer than two pictures, one that cannot be read or is of another size, a rate outside (0, 1).
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
    cut, pixel_cut = (
        by_false_alarm_rate(scores, rate),
        by_false_alarm_rate(peaks, rate),
    )
    alarms = int((scores > cut.value).sum())
    interval = interval_of_rate(alarms, len(paths))
    if cut.extrapolated:
        warnings.warn(
            f"{len(paths)} pictures are too few for a rate of {rate:g}: the threshold lies one typical gap above the "
            f"largest score; with 95 % confidence the rate is below {interval[1]:.3g}",
            stacklevel=2,
        )
    return LocalSettings(
        bundle=inspector.bundle.manifest.digest,
        threshold=cut.value,
        pixel_threshold=pixel_cut.value,
        minimum=float(scores.min()),
        maximum=float(scores.max()),
        pictures=f"{len(paths)} normal pictures: {storable(source)}",
        pictures_digest=sha256_of_bytes(
            "".join(sha256_of_file(path) for path in paths).encode()
        ),
        rate=rate,
        alarms=alarms,
        count=len(paths),
        interval=interval,
        **who_and_when(),
    )


def set_by_hand(
    bundle: Bundle, threshold: float | None, pixel_threshold: float | None
) -> LocalSettings:
    """A bundle's local settings with the values given; what is not given stays as it was.

    Raises:
        InputError: nothing given, or a number that is not finite.
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
        **who_and_when(),
    )


def who_and_when() -> dict[str, str]:
    """The user and machine, and the time in UTC."""
    try:
        user = getpass.getuser()
    except (
        OSError,
        KeyError,
    ):  # a container may run under a number without a name
        user = "unknown"
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"by": f"{user} on {platform.node() or 'this machine'}", "when": now}
