"""The model file: a fitted detector as safetensors, with canonical JSON in one metadata key. No pickle, ever."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from anomedge import __version__, pipelines
from anomedge.components import FeatureExtractor
from anomedge.errors import AnomedgeError, ModelError
from anomedge.files import atomic_file, canonical_json
from anomedge.pipelines._base import Pipeline
from anomedge.resample import Geometry
from anomedge.strict_json import JsonError, parse_json, validated
from anomedge.threshold import Decision

__all__ = ["Card", "Model", "load", "save", "tool_versions"]

_KEY = "anomedge"
# A header of 200 tensors and 200,000 pictures has 14 MB. Parsing takes up to a kilobyte for each separator.
_HEADER_LIMIT = 16 << 20
_SEPARATORS_LIMIT = 400_000
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
Pixels = Annotated[int, Field(ge=1, le=16384)]


class Card(BaseModel):
    """How a detector was made: seed, digests of the pictures it was fitted to, versions, licences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    fitted: tuple[str, ...]
    weights: str
    tools: dict[str, str]
    licence: dict[str, str]


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    detector: str
    config: dict[str, Any]
    size: tuple[Pixels, Pixels]
    crop: tuple[Pixels, Pixels] | None
    decision: Decision
    card: Card


@dataclass(frozen=True)
class Model:
    """A fitted detector with all that deciding takes: how frames become images, the threshold, how it was made."""

    pipeline: Pipeline
    geometry: Geometry
    decision: Decision
    card: Card


def save(model: Model, path: Path, *, force: bool = False) -> None:
    """Write a model, all or nothing; the same model gives the same bytes.

    Raises:
        OutputError: the file exists and `force` is not given, or cannot be written.
        ModelError: fitted to more pictures than the file's header has room for.
    """
    from safetensors.torch import save_file

    header = _Header(
        detector=model.pipeline.name,
        config=model.pipeline.config.model_dump(mode="json"),
        size=model.geometry.size,
        crop=model.geometry.crop,
        decision=model.decision,
        card=model.card,
    )
    tensors = {name: tensor.contiguous() for name, tensor in model.pipeline.state_dict().items()}
    content = canonical_json(header.model_dump(mode="json")).decode()
    if content.count(",") > _SEPARATORS_LIMIT // 2 or len(content) > _HEADER_LIMIT // 4 * 3:
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
        backbone: the module it was fitted with, where that was no timm architecture.

    Raises:
        ModelError: no model of ours, of another schema, damaged, or its tensors are not of the sizes and types it claims.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    header = _header(path)
    try:
        with safe_open(path, framework="pt") as file:
            stated = {name: _Stated(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
            if backbone is None:
                _refuse_other_backbone(path, header, stated)
            pipeline = _skeleton(header, backbone)
            expected = pipeline.state_dict()
            _refuse_other_tensors(path, stated, expected)
            pipeline.load_state_dict({name: file.get_tensor(name) for name in expected}, assign=True)
    except (SafetensorError, OSError, RuntimeError, JsonError) as error:
        raise ModelError(f"{path} cannot be read ({error}); expected a whole model: fit or copy it again") from error
    return Model(pipeline.eval(), Geometry(header.size, header.crop), header.decision, header.card)


class _Stated:
    """Shape and type of a tensor as the file's header states them."""

    def __init__(self, part: Any) -> None:
        self.shape = tuple(part.get_shape())
        self.dtype = str(part.get_dtype())

    def has_type_of(self, tensor: Tensor) -> bool:
        """Floating-point tensors are float32, or of the type that this process computes in; others keep theirs."""
        if not tensor.is_floating_point():
            return self.dtype not in _DTYPES
        return self.dtype == "F32" or _DTYPES.get(self.dtype) == tensor.dtype


def _refuse_other_backbone(path: Path, header: _Header, stated: Mapping[str, _Stated]) -> None:
    """Compare the backbone with the tensors that the file states, before memory is taken for one of any size."""
    config = validated(pipelines.get(header.detector).config_class, header.config)
    with torch.device("meta"):
        extractor = FeatureExtractor(config.backbone, config.layers, pre_trained=False, size=config.size)
    expected = {f"extractor.{name}": tensor for name, tensor in extractor.state_dict().items()}
    own = {name: given for name, given in stated.items() if name.startswith("extractor.")}
    _refuse_other_tensors(path, own, expected)


def _refuse_other_tensors(path: Path, stated: Mapping[str, _Stated], expected: Mapping[str, Tensor]) -> None:
    wrong = sorted(stated.keys() ^ expected.keys())
    wrong += [name for name in expected if name in stated and stated[name].shape != expected[name].shape]
    if wrong:
        raise ModelError(f"{path}: {len(wrong)} tensors are not what its detector has, {wrong[0]} first; fit again")
    for name, tensor in expected.items():
        if not stated[name].has_type_of(tensor):
            wanted = "F32" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
            raise ModelError(f"{path}: tensor {name} has type {stated[name].dtype}; expected {wanted}: fit again")


def tool_versions() -> dict[str, str]:
    """Versions of what makes a detector and its graph."""
    found = {"anomedge": __version__}
    for name in ("numpy", "onnx", "onnxscript", "openvino", "pillow", "timm", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _skeleton(header: _Header, backbone: nn.Module | None) -> Pipeline:
    """The detector with room for its tensors but no memory for them: sizes in a file are only claims."""
    kind = pipelines.get(header.detector)
    config = validated(kind.config_class, header.config)
    extractor = FeatureExtractor(backbone or config.backbone, config.layers, pre_trained=False, size=config.size)
    with torch.device("meta"):
        return kind(config, extractor)


def _header(path: Path) -> _Header:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _HEADER_LIMIT:
                raise ModelError(
                    f"{path} is no model of anomedge (it does not begin as one); expected what `anomedge fit` wrote"
                )
            raw = file.read(length)
            if sum(map(raw.count, (b",", b"[", b"{"))) > _SEPARATORS_LIMIT:
                raise ModelError(
                    f"{path} is no model of anomedge (its header has over {_SEPARATORS_LIMIT:,} parts); "
                    f"expected what `anomedge fit` wrote"
                )
            content = parse_json(raw)["__metadata__"][_KEY]
        return validated(_Header, parse_json(content))
    except AnomedgeError:
        raise
    except (OSError, struct.error, JsonError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path} is no model of anomedge ({reason}); expected what `anomedge fit` wrote") from error
