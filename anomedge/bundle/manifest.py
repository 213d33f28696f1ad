"""The bundle: a folder with the graphs of one detector, their contract, and the record of their proof.

::

    manifest.json     the contract, with the SHA-256 of every file and a digest of itself
    model.onnx        graph from frames to score and, mostly, anomaly_map (weights in model.onnx.data above 2 GiB)
    stages.onnx       the same graph with every stage as an output; reads its weights from model.onnx
    segments.onnx     the same graph cut at every stage: each stage is computed from given earlier stages
    openvino/         the same graph as OpenVINO IR
    anomalib.onnx     the graph with anomalib's input and outputs, if that layout was exported (also as IR)
    golden/           a few frames with the outputs of eager Torch
    certificates/     results of proofs: host.json and one file per device; not covered by the digest
    local.json        thresholds of one device; not covered by the digest

A bundle is untrusted until it is checked: sizes are bounded, names are plain paths inside the folder, links are
refused, and every file is compared with its hash.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from anomedge.bundle.contracts import (
    Frozen,
    InputContract,
    OutputContract,
    Pixels,
)
from anomedge.bundle.local_settings import schema_errors
from anomedge.bundle.members import MANIFEST, FileRecord, describe_files
from anomedge.bundle.quantised import QuantisedNetworks
from anomedge.bundle.ranges import Range
from anomedge.bundle.search import Int8Search
from anomedge.bundle.variants import Variant
from anomedge.errors import BundleError, IntegrityError, SchemaError
from anomedge.files import (
    JsonError,
    canonical_json,
    read_json,
    sha256_of_bytes,
    validated,
)
from anomedge.generated import Generated
from anomedge.resample import Geometry, Region, Tiling
from anomedge.resample.levels import Levels
from anomedge.resample.outside_resize import Framing, OutsideResize
from anomedge.threshold import Decision

__all__ = [
    "MANIFEST_LIMIT",
    "SCHEMA_VERSION",
    "Golden",
    "Manifest",
    "digest_at",
    "digest_of",
    "read_manifest",
    "unsigned",
    "write_manifest",
]

SCHEMA_VERSION = 1
MANIFEST_LIMIT = 4 << 20  # bytes


class Golden(Frozen):
    """A golden frame: its picture, its label if known, and whether the values of all stages are stored.

    `generated` tells how the export made the picture; None for one of the user's own. Bundles of earlier releases mark
    none, though every export writes extreme frames.
    """

    name: str
    frame: str
    anomalous: bool | None = None
    stages: bool = False
    generated: Generated | None = None

    @model_serializer(mode="wrap")
    def _without_absent_mark(
        self, inner: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave out the newer field where it is None, as in bundles of earlier releases."""
        content: dict[str, Any] = inner(self)
        if self.generated is None:
            del content["generated"]
        return content


class Image(Frozen):
    """Geometry of the model's image: frames are stretched to `size`, then the middle `crop` is kept.

    With a `tiling`, the detector runs on tiles of the image. `region` is the part of the frame that is stretched: top,
    left, bottom and right as fractions of its sides. `levels` are those of pictures with more than 8 bits per channel,
    which become frames by them.
    """

    size: tuple[Pixels, Pixels]
    crop: tuple[Pixels, Pixels] | None = None
    region: tuple[float, float, float, float] | None = None
    tiling: Tiling | None = None
    levels: Levels | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> "Image":
        """Refuse regions, tiles and levels that no export writes."""
        _ = self.geometry
        if self.levels is not None:
            Levels.checked(*self.levels)
        return self

    @property
    def geometry(self) -> Geometry:
        """Region, resize, crop and tiles from a frame to the image."""
        region = self.region and Region(*self.region)
        return Geometry(self.size, self.crop, region, self.tiling)

    @model_serializer(mode="wrap")
    def _without_defaults(
        self, inner: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave out the newer fields where they are None, as in bundles of earlier releases."""
        content: dict[str, Any] = inner(self)
        for name in ("region", "tiling", "levels"):
            if content[name] is None:
                del content[name]
        return content


class Manifest(Frozen):
    """The contract. `digest` is the SHA-256 of the canonical JSON of all other fields; it identifies the bundle."""

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
    variants: dict[str, Variant] = Field(min_length=1)
    opset: Annotated[int, Field(ge=7, le=64)]
    golden: tuple[Golden, ...] = Field(max_length=1024)
    golden_source: Literal["pictures", "synthetic"]
    model: str
    tools: dict[str, str]
    licence: dict[str, str]
    ranges: tuple[Range, ...] = Field(default=(), max_length=4096)
    quantisation: QuantisedNetworks | None = None
    search: Int8Search | None = None
    files: dict[str, FileRecord] = Field(max_length=4096)
    digest: str

    @model_serializer(mode="wrap")
    def _without_absent_fields(
        self, inner: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave out newer fields where they are None, as in bundles of earlier releases."""
        content: dict[str, Any] = inner(self)
        for name in ("quantisation", "search"):
            if content[name] is None:
                del content[name]
        return content

    @model_validator(mode="after")
    def _is_whole(self) -> "Manifest":
        """Check the conditions that every reader of a bundle relies on."""
        image = (1, *self.geometry.image)
        shapes = {output.name: output.shape for output in self.outputs}
        ranks = {name: len(shape) for name, shape in shapes.items()}
        if ranks not in ({"score": 0, "anomaly_map": 3}, {"score": 0}):
            raise ValueError(
                "expected the outputs score () and anomaly_map (1, h, w), or score () alone"
            )
        if shapes.get("anomaly_map", image) != image:
            raise ValueError("expected an anomaly_map of the image's size")
        if self.has_map != self.decision.has_map:
            raise ValueError(
                "expected a pixel_threshold with the output anomaly_map, and none without it"
            )
        if self.input.resize and self.input.frame != self.geometry.image:
            raise ValueError(
                "expected frames of the image's size with an outside resize"
            )
        if unknown := sorted(self.variants.keys() - self.tolerances.keys()):
            raise ValueError(f"expected tolerances of precision {unknown[0]}")
        return self

    @property
    def has_map(self) -> bool:
        """Whether the graphs give an anomaly map beside the score."""
        return any(output.name == "anomaly_map" for output in self.outputs)

    @property
    def geometry(self) -> Geometry:
        """Region, resize, crop and tiles from a frame to the image."""
        return self.image.geometry

    @property
    def levels(self) -> Levels | None:
        """Levels of pictures with more than 8 bits per channel; None for pictures of 8 bits."""
        return self.image.levels

    @property
    def framing(self) -> Framing:
        """How a picture becomes the input of the graphs."""
        if self.input.resize is None:
            return self.input.frame
        return OutsideResize(self.geometry)


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of the bundle at `root` and check its digest."""
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
            _hint_of(root)
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
    if digest_of(content) != manifest.digest:
        raise IntegrityError(
            f"{path} was changed: its digest is not its content's; export or copy the bundle again"
        )
    return manifest


def _hint_of(path: Path) -> str:
    """Return what to do with a path that is not the folder of a bundle."""
    if path.suffix == ".safetensors" and path.is_file():
        return "this is a model file: export it first, on the host, with python -m anomedge.export"
    return "check the path"


def unsigned(
    fields: Mapping[str, Any], files: Mapping[str, FileRecord] | None = None
) -> Manifest:
    """Return a manifest without a digest; without files it is a draft, which graphs take their contract from."""
    return Manifest(**fields, files=dict(files or {}), digest="")


def write_manifest(root: Path, fields: Mapping[str, Any]) -> Manifest:
    """Write a manifest that lists the current files of `root`; return it."""
    draft = unsigned(fields, describe_files(root)).model_dump(mode="json")
    content = draft | {"digest": digest_of(draft)}
    (root / MANIFEST).write_bytes(canonical_json(content))
    return Manifest.model_validate(content)


def digest_at(root: Path) -> str | None:
    """Return the digest of the manifest at `root`; None if it cannot be read or states another digest."""
    try:
        content = read_json(root / MANIFEST, MANIFEST_LIMIT)
    except (OSError, JsonError):
        return None
    digest = digest_of(content)
    return digest if content.get("digest") == digest else None


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content without its digest."""
    return sha256_of_bytes(
        canonical_json(
            {key: value for key, value in content.items() if key != "digest"}
        )
    )
