"""Model file: a fitted detector as safetensors, with canonical JSON in one metadata key. No pickle is read."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from torch import Tensor, nn

from anomedge import __version__, pipelines
from anomedge.errors import AnomedgeError, InputError, ModelError
from anomedge.files import (
    JsonError,
    atomic_file,
    canonical_json,
    open_plain,
    parse_json,
    validated,
)
from anomedge.pipelines.base import Config, Pipeline
from anomedge.pipelines.quantised.record import (
    Quantisation,
    float_networks,
    quantised_networks,
)
from anomedge.pipelines.stored_tensors import (
    TensorEntry,
    read_tensors,
    tensor_entries,
)
from anomedge.pipelines.training.record import TrainingRecord
from anomedge.resample import Geometry, Region, Tiling
from anomedge.resample.levels import Levels
from anomedge.threshold import Decision

__all__ = ["Card", "Model", "licences_of", "load", "save", "tool_versions"]

_KEY = "anomedge"
# The header of 200 tensors and 200,000 pictures has 14 MB. Parsing takes up to 1 kB per separator.
_HEADER_LIMIT = 16 << 20
_SEPARATORS_LIMIT = 400_000
_TOOLS = (
    "numpy",
    "onnx",
    "onnxscript",
    "openvino",
    "pillow",
    "timm",
    "torch",
)


class Card(BaseModel):
    """Record of a fit: seed, SHA-256 of the fitted pictures, name of the weights, tool versions, licences.

    `imported` is the SHA-256 of the file that the detector was imported from; its `fitted` is empty, because the pictures
    are unknown. `imported_beside` is the SHA-256 of each further file that values came from, by name. `training` has the
    facts of a training. All three are left out of files where there are none, as in older files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    fitted: tuple[str, ...]
    weights: str
    tools: dict[str, str]
    licence: dict[str, str]
    imported: str | None = None
    imported_beside: dict[str, str] = Field(default_factory=dict)
    training: TrainingRecord | None = None

    @property
    def known(self) -> frozenset[str] | None:
        """SHA-256 of the pictures that the detector was fitted to; None if they are unknown."""
        return None if self.imported else frozenset(self.fitted)

    @model_serializer(mode="wrap")
    def _without_absent_files(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        if self.imported is None:
            del content["imported"]
        if not self.imported_beside:
            del content["imported_beside"]
        if self.training is None:
            del content["training"]
        return content


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    detector: str
    distribution: str | None = None
    """Distribution of a plugin's detector; None for anomedge's own."""
    config: dict[str, Any]
    size: tuple[int, int]
    crop: tuple[int, int] | None
    region: tuple[float, float, float, float] | None = None
    tiling: Tiling | None = None
    levels: tuple[int, int] | None = None
    quantisation: Quantisation | None = None
    decision: Decision
    card: Card


@dataclass(frozen=True)
class Model:
    """A fitted detector with its preprocessing, its thresholds and the record of its fit.

    `levels` are those of pictures with more than 8 bits per channel; None for a detector of 8-bit pictures.
    `quantisation` is None for a float detector.
    `digest` is the SHA-256 of the model file, empty for a model that was not read from one.
    """

    pipeline: Pipeline[Any, Any]
    geometry: Geometry
    decision: Decision
    card: Card
    digest: str = ""
    levels: Levels | None = None
    quantisation: Quantisation | None = None


def licences_of(pipeline: Pipeline[Any, Any], weights: str) -> dict[str, str]:
    """Return the licences of a card: those of the initial weights and of the detector, and a notice on the method if there is one."""
    licences = {
        "weights": weights,
        "detector": "belongs to whoever owns the pictures it was fitted to",
    }
    if pipeline.legal_notice:
        licences["method"] = pipeline.legal_notice
    return licences


def save(model: Model, path: Path, *, force: bool = False) -> None:
    """Write a model file atomically; equal models give equal bytes.

    A quantised detector is stored with its float networks and the scales of their products.

    Raises:
        OutputError: the file exists and `force` is not given, or it cannot be written.
        ModelError: the model was fitted to more pictures than the file's header can hold.
    """
    from safetensors.torch import save_file

    header = _Header(
        detector=model.pipeline.name,
        distribution=pipelines.REGISTRY.distribution(model.pipeline.name),
        config=model.pipeline.config.model_dump(mode="json"),
        size=model.geometry.size,
        crop=model.geometry.crop,
        region=model.geometry.region,
        tiling=model.geometry.tiling,
        levels=model.levels,
        quantisation=model.quantisation,
        decision=model.decision,
        card=model.card,
    )
    tensors = {
        name: tensor.contiguous()
        for name, tensor in float_networks(model.pipeline).state_dict().items()
    }
    content = _encoded(header)
    if _too_long(content):
        raise ModelError(
            f"got a model of {len(model.card.fitted)} pictures and {len(tensors)} tensors, too many for the header of a "
            f"model file; expected up to 150,000 pictures: fit to a part of them"
        )
    with atomic_file(path, force=force) as temporary:
        save_file(tensors, temporary, metadata={_KEY: content})


def load(path: Path | str, *, backbone: nn.Module | None = None) -> Model:
    """Read a model.

    Args:
        path: the file.
        backbone: the module that the detector was fitted with; None: a timm architecture.

    Raises:
        ModelError: not a model of anomedge, another schema, a damaged file, tensors of other sizes or types than the
            detector's, or a detector whose plugin is not installed.
    """
    path = Path(path)
    digest = hashlib.sha256()
    try:
        with open_plain(path) as file:
            header, stated = _header(path, file, digest)
            region = header.region and Region(*header.region)
            geometry = Geometry(header.size, header.crop, region, header.tiling)
            levels = header.levels and Levels.checked(*header.levels)
            kind = _detector(path, header)
            config = validated(kind.config_class, header.config)
            if backbone is None:
                _refuse_other_networks(path, kind, config, stated)
            pipeline = _skeleton(kind, config, backbone)
            _refuse_other_tensors(path, stated, pipeline.state_dict())
            pipeline.load_state_dict(
                read_tensors(file, stated, digest), assign=True
            )
    except (InputError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}); expected a whole model: fit or copy it again"
        ) from error
    return Model(
        _as_quantised(pipeline.eval(), geometry, header.quantisation),
        geometry,
        header.decision,
        header.card,
        digest.hexdigest(),
        levels,
        header.quantisation,
    )


def _as_quantised(
    pipeline: Pipeline[Any, Any],
    geometry: Geometry,
    quantisation: Quantisation | None,
) -> Pipeline[Any, Any]:
    """Return the detector with quantised networks, if its file states that."""
    if quantisation is None:
        return pipeline
    networks = quantised_networks(
        pipeline, geometry, quantisation.scales, quantisation.fine
    )
    return pipeline.with_networks(networks)


def _encoded(header: _Header) -> str:
    """Return the header as JSON; without its newer fields where they are None, as in older files."""
    content = header.model_dump(mode="json")
    for name in ("distribution", "region", "tiling", "levels", "quantisation"):
        if content[name] is None:
            del content[name]
    return canonical_json(content).decode()


def _too_long(content: str) -> bool:
    """Return whether a reader could refuse this header, with a margin for the tensors' entries."""
    many = content.count(",") > _SEPARATORS_LIMIT // 2
    return many or len(content) > _HEADER_LIMIT // 4 * 3


def _detector(path: Path, header: _Header) -> type[Pipeline[Any, Any]]:
    """Return the class of the file's detector.

    Raises:
        ModelError: it is not installed, or its plugin cannot be loaded.
    """
    available = pipelines.available()
    if header.detector not in available and header.distribution:
        raise ModelError(
            f"{path} holds the detector {header.detector!r} of the distribution {header.distribution}; "
            f"expected it to be installed: install {header.distribution}"
        )
    if header.detector not in available:
        raise ModelError(
            f"{path} holds the detector {header.detector!r}; expected one of: {', '.join(available)}: "
            f"update anomedge, or fit again"
        )
    try:
        return pipelines.get(header.detector)
    except AnomedgeError as error:
        raise ModelError(f"{path}: {error}") from error


def _refuse_other_networks(
    path: Path,
    kind: type[Pipeline[Any, Any]],
    config: Config,
    stated: Mapping[str, TensorEntry],
) -> None:
    """Compare the networks with the stated tensors before memory is allocated for networks of any size."""
    with torch.device("meta"):
        networks = kind.build_networks(config)
    expected = {}
    for network, module in networks.items():
        for name, tensor in module.state_dict().items():
            expected[f"{network}.{name}"] = tensor
    own = {
        name: entry
        for name, entry in stated.items()
        if name.split(".")[0] in networks
    }
    _refuse_other_tensors(path, own, expected)


def _refuse_other_tensors(
    path: Path,
    stated: Mapping[str, TensorEntry],
    expected: Mapping[str, Tensor],
) -> None:
    wrong = sorted(stated.keys() ^ expected.keys())
    wrong += [
        name
        for name in expected
        if name in stated and stated[name].shape != expected[name].shape
    ]
    if wrong:
        raise ModelError(
            f"{path}: {len(wrong)} tensors are not what its detector has, {wrong[0]} first; fit again"
        )
    for name, tensor in expected.items():
        if not stated[name].has_type_of(tensor):
            wanted = (
                "F32"
                if tensor.is_floating_point()
                else str(tensor.dtype).removeprefix("torch.")
            )
            raise ModelError(
                f"{path}: tensor {name} has type {stated[name].dtype}; expected {wanted}: fit again"
            )


def tool_versions() -> dict[str, str]:
    """Return the versions of anomedge and of the packages that fit and export."""
    found = {"anomedge": __version__}
    for name in _TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _skeleton(
    kind: type[Pipeline[Any, Any]], config: Config, backbone: nn.Module | None
) -> Pipeline[Any, Any]:
    """Build the detector; tensors outside its networks get no memory, because a file may state any size."""
    networks = kind.build_networks(config, backbone)
    with torch.device("meta"):
        return kind(config, **networks)


def _header(
    path: Path, file: BinaryIO, digest: Any
) -> tuple[_Header, dict[str, TensorEntry]]:
    """Read the header: the detector and its tensors' entries; leave the file at the first tensor."""
    try:
        raw = _raw_header(path, file, digest)
        parsed = parse_json(raw)
        header = validated(_Header, parse_json(parsed["__metadata__"][_KEY]))
        return header, tensor_entries(parsed)
    except AnomedgeError:
        raise
    except (OSError, struct.error, JsonError, KeyError, TypeError) as error:
        reason = (
            str(error).splitlines()[0] if str(error) else type(error).__name__
        )
        raise ModelError(
            f"{path} is no model of anomedge ({reason}); expected a file that `anomedge fit` wrote"
        ) from error


def _raw_header(path: Path, file: BinaryIO, digest: Any) -> bytes:
    """Read the header's bytes; refuse a header whose parsing would take much memory."""
    begin = file.read(8)
    (length,) = struct.unpack("<Q", begin)
    if length > _HEADER_LIMIT:
        raise ModelError(
            f"{path} is no model of anomedge (it does not begin as one); expected a file that `anomedge fit` wrote"
        )
    raw = file.read(length)
    digest.update(begin + raw)
    if sum(map(raw.count, (b",", b"[", b"{"))) > _SEPARATORS_LIMIT:
        raise ModelError(
            f"{path} is no model of anomedge (its header has over {_SEPARATORS_LIMIT:,} parts); "
            f"expected a file that `anomedge fit` wrote"
        )
    return raw
