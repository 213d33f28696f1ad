"""The model file: a fitted detector as safetensors, with canonical JSON in one metadata key. No pickle, ever."""

import struct
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

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
_HEADER_LIMIT = 100 << 20
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
    with atomic_file(path, force=force) as temporary:
        save_file(tensors, temporary, metadata={_KEY: canonical_json(header.model_dump(mode="json")).decode()})


def load(path: Path | str, *, backbone: nn.Module | None = None) -> Model:
    """Read a model.

    Args:
        path: the file.
        backbone: the module it was fitted with, where that was no timm architecture.

    Raises:
        ModelError: no model of ours, of another schema, damaged, or its tensors are not of the sizes it claims.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    header = _header(path)
    try:
        pipeline = _skeleton(header, backbone)
        expected = pipeline.state_dict()
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            wrong = sorted(names ^ expected.keys())
            wrong += [n for n in expected if n in names and tuple(file.get_slice(n).get_shape()) != expected[n].shape]
            if wrong:
                raise ModelError(
                    f"{path}: {len(wrong)} tensors are not what its detector has, {wrong[0]} first; fit again"
                )
            pipeline.load_state_dict({name: file.get_tensor(name) for name in expected}, assign=True)
    except (SafetensorError, OSError, RuntimeError, JsonError) as error:
        raise ModelError(f"{path} cannot be read ({error}); expected a whole model: fit or copy it again") from error
    return Model(pipeline.eval(), Geometry(header.size, header.crop), header.decision, header.card)


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
    extractor = FeatureExtractor(backbone or config.backbone, config.layers, pre_trained=False)
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
            content = parse_json(file.read(length))["__metadata__"][_KEY]
        return validated(_Header, parse_json(content))
    except AnomedgeError:
        raise
    except (OSError, struct.error, JsonError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path} is no model of anomedge ({reason}); expected what `anomedge fit` wrote") from error
