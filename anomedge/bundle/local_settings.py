"""`local.json`: thresholds of one device, not covered by the bundle's digest; see `local_place` for where it lies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat, model_validator

from anomedge.bundle.contracts import Frozen
from anomedge.errors import (
    BundleError,
    InputError,
    IntegrityError,
    SchemaError,
)
from anomedge.files import (
    JsonError,
    NotPlainError,
    atomic_file,
    canonical_json,
    read_json,
    validated,
)
from anomedge.threshold import Decision
from anomedge.threshold.normal_distributions import NormalDistributions

__all__ = [
    "LOCAL",
    "LocalSettings",
    "read_settings",
    "schema_errors",
    "write_settings",
]

LOCAL = "local.json"
LOCAL_LIMIT = 1 << 16
"""Largest size of `local.json`, in bytes."""
_REMEDY = "remove it with `anomedge threshold BUNDLE --reset`, then set the threshold with --set or --normal"


class LocalSettings(Frozen):
    """Values that a device overrides, with author, date, pictures used and digest of the bundle.

    `alarms` of `count` normal pictures score above the threshold, which was chosen for the false-alarm rate `rate`;
    `interval` is the 95 % confidence interval of the true rate. All are None for a threshold that was set by hand.
    `normals` are the distributions of the latest normal pictures that were used on this device.
    """

    bundle: str | None = None
    threshold: FiniteFloat | None = None
    pixel_threshold: FiniteFloat | None = None
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    by: str = ""
    when: str = ""
    pictures: str = ""
    pictures_digest: str | None = None
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    alarms: Annotated[int, Field(ge=0)] | None = None
    count: Annotated[int, Field(ge=0)] | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    normals: NormalDistributions | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> "LocalSettings":
        """Refuse counts and rates that cannot belong together: they are shown as a statement of confidence."""
        if self.alarms is not None and (
            self.count is None or self.alarms > self.count
        ):
            raise ValueError("expected at most as many alarms as pictures")
        if (
            self.interval is not None
            and not 0 <= self.interval[0] <= self.interval[1] <= 1
        ):
            raise ValueError("expected an interval of rates within [0, 1]")
        return self

    def applied_to(self, decision: Decision) -> Decision:
        """Return the decision with the overrides applied."""
        overrides = {"threshold", "pixel_threshold", "minimum", "maximum"}
        return decision.model_copy(
            update=self.model_dump(include=overrides, exclude_none=True)
        )


def read_settings(
    path: Path, digest: str, has_map: bool = True
) -> LocalSettings | None:
    """Read the `local.json` at `path` of the bundle with this digest; None if there is none.

    Raises:
        SchemaError: the file is not in the format of `anomedge threshold`, states no digest or another one, or has a
            pixel threshold though the bundle has no map.
        BundleError: the file cannot be read.
    """
    try:
        with schema_errors(path, _REMEDY):
            settings = validated(LocalSettings, read_json(path, LOCAL_LIMIT))
    except FileNotFoundError:
        # Not checked before reading, because --reset may remove the file at any moment.
        return None
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror or error}); check who may read it"
        ) from error
    if settings.bundle is None:
        raise SchemaError(
            f"{path} does not state the digest of its bundle; {_REMEDY}"
        )
    if settings.bundle != digest:
        raise SchemaError(f"{path} was written for another bundle; {_REMEDY}")
    if settings.pixel_threshold is not None and not has_map:
        raise SchemaError(
            f"{path} has a pixel threshold, but this bundle gives no anomaly map; {_REMEDY}"
        )
    return settings


def write_settings(
    path: Path, digest: str, settings: LocalSettings, check: Callable[[], None]
) -> None:
    """Write the `local.json` at `path` of the bundle with this digest, atomically.

    `check` raises an error if the bundle's path does not hold the bundle that was opened. It is called while the temporary
    file exists: if it lies in the bundle's folder and the folder is exchanged afterwards, the temporary file is not in the
    new one, and the rename fails.

    Raises:
        OutputError: the folder cannot be written to.
    """
    # A folder's name may not be UTF-8; the command must not fail after it inspected all pictures.
    pictures = settings.pictures.encode("utf-8", "backslashreplace").decode()
    signed = settings.model_copy(
        update={"bundle": digest, "pictures": pictures}
    )
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(
            canonical_json(signed.model_dump(mode="json", exclude_none=True))
        )
        check()


@contextmanager
def schema_errors(path: Path, remedy: str) -> Iterator[None]:
    """Within the block, convert errors of the strict JSON reader to BundleErrors with the file's path and the remedy."""
    try:
        yield
    except NotPlainError as error:
        raise IntegrityError(f"{path} {error}: {remedy}") from error
    except (InputError, JsonError) as error:
        # Geometry and levels check themselves and raise InputError.
        raise SchemaError(f"{path}: {error}; {remedy}") from error
