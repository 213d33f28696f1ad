"""The model file: a fitted detector as safetensors, with canonical JSON in one metadata key. No pickle, ever."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from anomedge import __version__, pipelines
from anomedge.components import FeatureExtractor
from anomedge.errors import AnomedgeError, ModelError
from anomedge.files import (
    JsonError,
    atomic_file,
    canonical_json,
    open_plain,
    parse_json,
    validated,
)
from anomedge.pipelines._base import Pipeline
from anomedge.pipelines._stored import Stated, read_tensors, stated_tensors
from anomedge.resample import Geometry
from anomedge.threshold import Decision

__all__ = ["Card", "Model", "load", "save", "tool_versions"]

_KEY = "anomedge"
# A header of 200 tensors and 200,000 pictures has 14 MB. Parsing takes up to a kilobyte for each separator.
_HEADER_LIMIT = 16 << 20
_SEPARATORS_LIMIT = 400_000
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
    """A fitted detector with all that deciding takes: how frames become images, the threshold, how it was made.

    `digest` is the SHA-256 of the file that it was read from, empty where it was read from none.
    """

    pipeline: Pipeline
    geometry: Geometry
    decision: Decision
    card: Card
    digest: str = ""


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
    tensors = {
        name: tensor.contiguous()
        for name, tensor in model.pipeline.state_dict().items()
    }
    content = canonical_json(header.model_dump(mode="json")).decode()
    if (
        content.count(",") > _SEPARATORS_LIMIT // 2
        or len(content) > _HEADER_LIMIT // 4 * 3
    ):
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
    path = Path(path)
    digest = hashlib.sha256()
    try:
        with open_plain(path) as file:
            header, stated = _header(path, file, digest)
            if backbone is None:
                _refuse_other_backbone(path, header, stated)
            pipeline = _skeleton(header, backbone)
            _refuse_other_tensors(path, stated, pipeline.state_dict())
            pipeline.load_state_dict(
                read_tensors(file, stated, digest), assign=True
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}); expected a whole model: fit or copy it again"
        ) from error
    geometry = Geometry(header.size, header.crop)
    return Model(
        pipeline.eval(),
        geometry,
        header.decision,
        header.card,
        digest.hexdigest(),
    )


def _refuse_other_backbone(
    path: Path, header: _Header, stated: Mapping[str, Stated]
) -> None:
    """Compare the backbone with the tensors that the file states, before memory is taken for one of any size."""
    config = validated(
        pipelines.get(header.detector).config_class, header.config
    )
    with torch.device("meta"):
        extractor = FeatureExtractor(
            config.backbone, config.layers, pre_trained=False, size=config.size
        )
    expected = {
        f"extractor.{name}": tensor
        for name, tensor in extractor.state_dict().items()
    }
    own = {
        name: given
        for name, given in stated.items()
        if name.startswith("extractor.")
    }
    _refuse_other_tensors(path, own, expected)


def _refuse_other_tensors(
    path: Path, stated: Mapping[str, Stated], expected: Mapping[str, Tensor]
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
    """Versions of what makes a detector and its graph."""
    found = {"anomedge": __version__}
    for name in (
        "numpy",
        "onnx",
        "onnxscript",
        "openvino",
        "pillow",
        "timm",
        "torch",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _skeleton(header: _Header, backbone: nn.Module | None) -> Pipeline:
    """The detector with room for its tensors but no memory for them: sizes in a file are only claims."""
    kind = pipelines.get(header.detector)
    config = validated(kind.config_class, header.config)
    extractor = FeatureExtractor(
        backbone or config.backbone,
        config.layers,
        pre_trained=False,
        size=config.size,
    )
    with torch.device("meta"):
        return kind(config, extractor)


def _header(
    path: Path, file: BinaryIO, digest: Any
) -> tuple[_Header, dict[str, Stated]]:
    """What the file says of the detector, and of its tensors, which begin where this leaves the file."""
    try:
        raw = _raw_header(path, file, digest)
        parsed = parse_json(raw)
        header = validated(_Header, parse_json(parsed["__metadata__"][_KEY]))
        return header, stated_tensors(parsed)
    except AnomedgeError:
        raise
    except (OSError, struct.error, JsonError, KeyError, TypeError) as error:
        reason = (
            str(error).splitlines()[0] if str(error) else type(error).__name__
        )
        raise ModelError(
            f"{path} is no model of anomedge ({reason}); expected what `anomedge fit` wrote"
        ) from error


def _raw_header(path: Path, file: BinaryIO, digest: Any) -> bytes:
    """The header's bytes; one that would take much memory when parsed is refused."""
    begin = file.read(8)
    (length,) = struct.unpack("<Q", begin)
    if length > _HEADER_LIMIT:
        raise ModelError(
            f"{path} is no model of anomedge (it does not begin as one); expected what `anomedge fit` wrote"
        )
    raw = file.read(length)
    digest.update(begin + raw)
    if sum(map(raw.count, (b",", b"[", b"{"))) > _SEPARATORS_LIMIT:
        raise ModelError(
            f"{path} is no model of anomedge (its header has over {_SEPARATORS_LIMIT:,} parts); "
            f"expected what `anomedge fit` wrote"
        )
    return raw
