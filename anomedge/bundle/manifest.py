"""The bundle: a folder with one detector as graphs, what it says of itself, and what was proven of it.

::

    manifest.json     the contract, with the SHA-256 of every file and a digest of itself
    model.onnx        frames in, score and anomaly_map out (weights in model.onnx.data past 2 GiB)
    stages.onnx       the same graph with taps; its weights are read out of model.onnx
    segments.onnx     that one cut at every tap: each stage from given values of those before it
    openvino/         the same graph as OpenVINO IR
    anomalib.onnx     the same with anomalib's input and outputs, where that layout was asked for (and as IR)
    golden/           a few frames and what eager Torch says of them
    certificates/     what was proven: host.json, then one file a device; not covered by the digest
    local.json        a device's own threshold; not covered by the digest

Nothing in a bundle is believed before it is checked: sizes are bounded, names are plain paths inside the folder, links
are refused, and every byte answers to a hash.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from anomedge.bundle.checked import check_file, checked_content
from anomedge.bundle.contracts import (
    Frozen,
    InputContract,
    OutputContract,
    Pixels,
)
from anomedge.bundle.local_settings import (
    LOCAL,
    LocalSettings,
    read_settings,
    schema_errors,
    write_settings,
)
from anomedge.bundle.ranges import Range
from anomedge.bundle.variants import Variant
from anomedge.errors import (
    BundleError,
    IntegrityError,
    OutputError,
    SchemaError,
)
from anomedge.files import (
    JsonError,
    canonical_json,
    is_temporary_of,
    read_json,
    remove_file,
    safe_member,
    sha256_of_bytes,
    sha256_of_file,
    validated,
)
from anomedge.resample import Geometry
from anomedge.threshold import Decision

__all__ = [
    "LOCAL",
    "SCHEMA_VERSION",
    "Bundle",
    "Golden",
    "InputContract",
    "LocalSettings",
    "Manifest",
    "OutputContract",
    "Variant",
    "assert_in_place",
    "describe_files",
    "digest_at",
    "remove_local",
    "write_local",
    "write_manifest",
]

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
CERTIFICATES = "certificates"
MANIFEST_LIMIT = 4 << 20
_FILE_LIMIT = 16 << 30
_OPEN_ATTEMPTS = 5


class FileRecord(Frozen):
    """Size and hash of a file."""

    bytes: Annotated[int, Field(ge=0, le=_FILE_LIMIT)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Golden(Frozen):
    """A golden frame: its picture, what is known of it, and whether every stage was kept."""

    name: str
    frame: str
    anomalous: bool | None = None
    stages: bool = False


class Image(Frozen):
    """From a frame to the model's image: stretched to `size`, middle `crop` kept."""

    size: tuple[Pixels, Pixels]
    crop: tuple[Pixels, Pixels] | None = None


class Manifest(Frozen):
    """The contract. `digest` is the SHA-256 of the canonical JSON of everything else, so it stands for the bundle."""

    schema_version: Annotated[
        int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    ] = SCHEMA_VERSION
    detector: str
    config: dict[str, Any]
    input: InputContract
    outputs: tuple[OutputContract, ...]
    stages: tuple[str, ...]
    image: Image
    decision: Decision
    tolerances: dict[str, dict[str, FiniteFloat]]
    variants: dict[str, Variant]
    opset: Annotated[int, Field(ge=7, le=64)]
    golden: tuple[Golden, ...] = Field(max_length=1024)
    golden_source: Literal["pictures", "synthetic"]
    model: str
    tools: dict[str, str]
    licence: dict[str, str]
    ranges: tuple[Range, ...] = Field(default=(), max_length=4096)
    files: dict[str, FileRecord] = Field(max_length=4096)
    digest: str

    @model_validator(mode="after")
    def _is_whole(self) -> "Manifest":
        """What every reader of a bundle counts on."""
        if {output.name: len(output.shape) for output in self.outputs} != {
            "score": 0,
            "anomaly_map": 3,
        }:
            raise ValueError(
                "expected the outputs score () and anomaly_map (1, h, w)"
            )
        if {output.shape for output in self.outputs} != {
            (),
            (1, *self.geometry.image),
        }:
            raise ValueError("expected an anomaly_map of the image's size")
        if unknown := sorted(self.variants.keys() - self.tolerances.keys()):
            raise ValueError(f"expected tolerances of precision {unknown[0]}")
        return self

    @property
    def geometry(self) -> Geometry:
        """How a frame becomes the image."""
        return Geometry(self.image.size, self.image.crop)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files are what its manifest says."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str) -> "Bundle":
        """Open and check a bundle.

        Raises:
            BundleError: there is no bundle at `path`.
            SchemaError: its manifest is not one that this version understands.
            IntegrityError: a file is missing, extra, changed, a link, or lies outside the folder.
        """
        root = Path(path)
        try:
            return _open_checked(root)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BundleError(
                f"{root} cannot be read ({reason}); check who may read it, or copy it again"
            ) from error

    def file(self, name: str) -> Path:
        """The path of a file that the manifest names."""
        if name not in self.manifest.files:
            raise IntegrityError(
                f"{self.path}: got {name!r}; expected a file that its manifest lists"
            )
        return safe_member(self.path, name)

    def read(self, name: str) -> bytes:
        """Read a file that the manifest lists and check its hash; the content is not cached.

        Raises:
            IntegrityError: the manifest does not list the file, or its size or hash differs from the manifest's.
        """
        path, record = self.file(name), self.manifest.files[name]
        return checked_content(path, record.bytes, record.sha256)

    def variant(self, precision: str) -> Variant:
        """The files of a precision.

        Raises:
            BundleError: the bundle was not exported in it.
        """
        try:
            return self.manifest.variants[precision]
        except KeyError:
            known = ", ".join(self.manifest.variants)
            raise BundleError(
                f"{self.path}: got precision {precision!r}; expected one of: {known}"
            ) from None

    @cached_property
    def local(self) -> LocalSettings | None:
        """What `local.json` says, None without one.

        Raises:
            SchemaError: it is not what `anomedge threshold` writes, or was written for another bundle.
            BundleError: the file cannot be read.
        """
        return read_settings(self.path, self.manifest.digest)

    @cached_property
    def decision(self) -> Decision:
        """The manifest's decision, with what `local.json` overrides."""
        return (
            self.local.applied_to(self.manifest.decision)
            if self.local
            else self.manifest.decision
        )

    def _check_files(self) -> None:
        found = set(_walk(self.path))
        if missing := sorted(self.manifest.files.keys() - found):
            raise IntegrityError(
                f"{self.path}: {_some(missing)} missing; copy the bundle again, whole"
            )
        if extra := sorted(found - self.manifest.files.keys()):
            raise IntegrityError(
                f"{self.path}: {_some(extra)} not in its manifest; remove what is not the bundle's"
            )
        for name, record in self.manifest.files.items():
            check_file(
                safe_member(self.path, name), record.bytes, record.sha256
            )


def _open_checked(root: Path) -> Bundle:
    """Read the manifest and check the files; retry if an export replaced the bundle in between."""
    for attempt in range(_OPEN_ATTEMPTS):
        bundle = Bundle(root, read_manifest(root))
        try:
            bundle._check_files()
        except (IntegrityError, OSError):
            last = attempt == _OPEN_ATTEMPTS - 1
            if last or read_manifest(root).digest == bundle.manifest.digest:
                raise
        else:
            break
    return bundle


def read_manifest(root: Path) -> Manifest:
    """The manifest of the bundle at `root`, checked against its own digest."""
    if not root.is_dir():
        around = next(
            (
                f
                for f in list(root.parents)[:2]
                if root.exists() and (f / MANIFEST).is_file()
            ),
            None,
        )
        hint = (
            "check the path"
            if around is None
            else f"give {around}, which it lies in"
        )
        raise BundleError(
            f"got {root}; expected the folder of a bundle: {hint}"
        )
    path = root / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{root} has no {MANIFEST}; expected the folder that anomedge.export wrote"
        )
    with schema_errors(path, "copy the bundle again"):
        content = read_json(path, MANIFEST_LIMIT)
    version = content.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise SchemaError(
            f"{path}: got schema version {version!r}; expected {SCHEMA_VERSION}: install a matching anomedge"
        )
    with schema_errors(path, "export the bundle again"):
        manifest = validated(Manifest, content)
    if _digest(content) != manifest.digest:
        raise IntegrityError(
            f"{path} was changed: its digest is not its content's; export or copy the bundle again"
        )
    return manifest


def write_manifest(root: Path, fields: Mapping[str, Any]) -> Manifest:
    """Write the manifest of the files now in `root`, and return it."""
    unsigned = Manifest(
        **fields, files=describe_files(root), digest=""
    ).model_dump(mode="json")
    content = unsigned | {"digest": _digest(unsigned)}
    (root / MANIFEST).write_bytes(canonical_json(content))
    return Manifest.model_validate(content)


def write_local(bundle: Bundle, settings: LocalSettings) -> Bundle:
    """Write `local.json` atomically and return the bundle with the new decision.

    Concurrent readers see the old or the new file. With concurrent writers, the last one wins.

    Raises:
        OutputError: the bundle cannot be written to, or another one has taken its place since it was opened.
    """
    write_settings(
        bundle.path,
        bundle.manifest.digest,
        settings,
        lambda: assert_in_place(bundle),
    )
    return Bundle(bundle.path, bundle.manifest)


def remove_local(bundle: Bundle) -> Bundle:
    """Remove `local.json` if it exists, and return the bundle with the manifest's decision.

    Raises:
        OutputError: the bundle cannot be written to, or another one has taken its place since it was opened.
    """
    assert_in_place(bundle)
    remove_file(bundle.path / LOCAL)
    return Bundle(bundle.path, bundle.manifest)


def assert_in_place(bundle: Bundle) -> None:
    """Raise an error if the path no longer holds the bundle that was opened; call this before writing into it.

    Raises:
        OutputError: another one, or no whole one, lies at its path.
    """
    there, digest = digest_at(bundle.path), bundle.manifest.digest
    if there != digest:
        found = (
            "no whole bundle"
            if there is None
            else f"another bundle ({there[:12]})"
        )
        raise OutputError(
            f"nothing was written into {bundle.path}: got {found} there; expected the one that was opened ({digest[:12]}): "
            f"run the command again"
        )


def digest_at(root: Path) -> str | None:
    """Digest of the manifest at `root`; None where there is no whole manifest, or it states another digest."""
    try:
        content = read_json(root / MANIFEST, MANIFEST_LIMIT)
    except (OSError, JsonError):
        return None
    digest = _digest(content)
    return digest if content.get("digest") == digest else None


def describe_files(root: Path) -> dict[str, FileRecord]:
    """Size and SHA-256 of every file of a bundle but its manifest, certificates and local settings."""
    return {
        name: FileRecord(
            bytes=(root / name).stat().st_size,
            sha256=sha256_of_file(root / name),
        )
        for name in sorted(_walk(root))
    }


def _walk(root: Path) -> list[str]:
    """Return the names of the files that the digest covers; refuse links, pipes and devices anywhere."""
    names = []
    for folder, folders, files in os.walk(root, onerror=_raise):
        base = Path(folder)
        for name in [*folders, *files]:
            _check_kind(base / name)
        if base == root:
            folders[:] = [name for name in folders if name != CERTIFICATES]
            files = [name for name in files if not _is_unhashed(name)]
        names += [(base / name).relative_to(root).as_posix() for name in files]
    return names


def _check_kind(path: Path) -> None:
    """Refuse anything but plain files and folders; ignore a path that was removed after it was listed."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise IntegrityError(
            f"{path} is a link; expected plain files: copy the bundle with links resolved"
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise IntegrityError(
            f"{path} is a pipe or a device; expected plain files: copy the bundle again"
        )


def _is_unhashed(name: str) -> bool:
    """Return True for files in the root that the digest excludes: manifest, `local.json`, temporary files of `local.json`.

    Temporaries of `local.json` lie in the root because a rename is atomic only within one file system, and because
    only the root is certain to be writable when `local.json` can be replaced. A killed process leaves one behind.
    """
    return name in {MANIFEST, LOCAL} or is_temporary_of(name, LOCAL)


def _raise(error: OSError) -> None:
    """Raise the error of a folder that cannot be listed, because its files cannot be checked."""
    raise error


def _digest(content: Mapping[str, Any]) -> str:
    return sha256_of_bytes(
        canonical_json(
            {key: value for key, value in content.items() if key != "digest"}
        )
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
