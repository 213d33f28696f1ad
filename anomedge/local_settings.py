"""`local.json`: the thresholds of one device, in its copy of a bundle and outside the bundle's digest."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from anomedge.errors import BundleError, IntegrityError, SchemaError
from anomedge.files import atomic_file, canonical_json
from anomedge.strict_json import JsonError, NotPlainError, read_json, validated
from anomedge.threshold import Decision

__all__ = ["LOCAL", "LocalSettings", "read_settings", "schema_errors", "write_settings"]

LOCAL = "local.json"
_LIMIT = 1 << 16
_REMEDY = "remove it with `anomedge threshold BUNDLE --reset`, then set the threshold with --set or --normal"


class LocalSettings(BaseModel):
    """What a device may override, with who, when, from which pictures, and for which bundle.

    `alarms` of `count` normal pictures lie above the threshold that aimed at `rate`; `interval` holds the true rate with
    95 % confidence. Without a rule these are None: somebody set the threshold by hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def applied_to(self, decision: Decision) -> Decision:
        """The decision with what is set here."""
        overrides = {"threshold", "pixel_threshold", "minimum", "maximum"}
        return decision.model_copy(update=self.model_dump(include=overrides, exclude_none=True))


def read_settings(root: Path, digest: str) -> LocalSettings | None:
    """Read the `local.json` of the bundle at `root` with this digest; None without one.

    Raises:
        SchemaError: it is not what `anomedge threshold` writes, or does not state this digest.
        BundleError: it cannot be read.
    """
    path = root / LOCAL
    try:
        with schema_errors(path, _REMEDY):
            settings = validated(LocalSettings, read_json(path, _LIMIT))
    except FileNotFoundError:  # not asked before reading: --reset may remove it in between
        return None
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror or error}); check who may read it") from error
    if settings.bundle is None:
        raise SchemaError(f"{path} does not state the digest of its bundle; {_REMEDY}")
    if settings.bundle != digest:
        raise SchemaError(f"{path} was written for another bundle; {_REMEDY}")
    return settings


def write_settings(root: Path, digest: str, settings: LocalSettings) -> None:
    """Write the `local.json` of the bundle at `root` with this digest, all or nothing.

    Raises:
        OutputError: the bundle cannot be written to.
    """
    # A folder's name need not be UTF-8; it must not end the command after all pictures were inspected.
    pictures = settings.pictures.encode("utf-8", "backslashreplace").decode()
    signed = settings.model_copy(update={"bundle": digest, "pictures": pictures})
    with atomic_file(root / LOCAL, force=True) as temporary:
        temporary.write_bytes(canonical_json(signed.model_dump(mode="json", exclude_none=True)))


@contextmanager
def schema_errors(path: Path, remedy: str) -> Iterator[None]:
    """Within the block, raise an error of the strict JSON reader as a BundleError that names the file and the remedy."""
    try:
        yield
    except NotPlainError as error:
        raise IntegrityError(f"{path} {error}: {remedy}") from error
    except JsonError as error:
        raise SchemaError(f"{path}: {error}; {remedy}") from error
