"""Backbone of a foreign file: its name and layers, checked, and its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from anomedge.interop.anomalib.folded import unfolded
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Source,
    Taken,
    TensorSource,
)
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    refuse_misshapen,
    said_precision,
)

__all__ = [
    "architecture_of",
    "cut_transformer",
    "feature_extractor",
    "scale_as_stated",
]

Size = tuple[int, int]

_PREFIX = "feature_extractor."
_TRANSFORMER = "feature_extractor.model."
_WRAPPERS = {"module", "_orig_mod"}
_COUNTER = "num_batches_tracked"
# Names of timm's architectures; other names, such as hf-hub:..., make timm read from elsewhere.
_ARCHITECTURE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
_LAYER = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_LONGEST = 100
_MOST_LAYERS = 16


def feature_extractor(
    foreign: ForeignModel,
    size: Size,
    taken: Taken,
    *,
    prefix: str = _PREFIX,
    what: str = "backbone",
) -> FeatureExtractor:
    """Return a network on the backbone's architecture with the file's weights and scaling, for images (H, W).

    Args:
        foreign: the file.
        size: of the images.
        taken: gets a line for each thing that is taken.
        prefix: of the names of the network's tensors.
        what: name of the network, for messages.

    Raises:
        ModelError: a name or layers that are none, an unknown architecture,
            tensors that are not this network's, or layers from coarse to fine.
    """
    name = _architecture(foreign)
    layers = _layers(foreign)
    with torch.device("meta"):
        expected = _network(name, layers, size)
    if expected.strides != sorted(expected.strides):
        raise ModelError(
            f"got layers {', '.join(layers)} of strides {expected.strides}; expected the finest first: "
            f"fit with the layers in that order"
        )
    found = _tensors(foreign, prefix)
    is_graph = foreign.kind == "onnx"
    if not is_graph:
        refuse_misshapen(found, expected.state_dict(), (_COUNTER,), name)
    extractor = _network(name, layers, size)
    if is_graph:
        extractor.load_state_dict(unfolded(found, extractor))
    else:
        _load(extractor, found)
    scale_as_stated(extractor, foreign)
    source: Source = "computed" if is_graph else "file"
    taken.add(what, f"{name}, {len(found)} tensors", source)
    if what == "backbone":
        taken.add("layers", ", ".join(layers), source)
    said_precision(
        f"{what}'s weights", [each.dtype for each in found.values()], taken
    )
    return extractor


def cut_transformer(
    foreign: ForeignModel, layer: str, size: Size, taken: Taken
) -> FeatureExtractor:
    """Return a transformer behind one of its blocks and its final norm, with the file's weights and scaling.

    The file has the whole transformer, for images of the size (H, W); other tensors of it are left.

    Raises:
        ModelError: an unknown architecture, or tensors that are missing or of
            other shapes.
    """
    name = architecture_of(foreign.arguments.get("backbone"))
    extractor = FeatureExtractor(name, layer, False, size=size, final_norm=True)
    expected = extractor.state_dict()
    stored = {key: _PREFIX + key.removeprefix(_TRANSFORMER) for key in expected}
    found = {
        key: foreign.tensors[other]
        for key, other in stored.items()
        if other in foreign.tensors
    }
    what = f"{name} for images of {size[0]}x{size[1]}"
    refuse_misshapen(found, expected, (), what)
    _load(extractor, found)
    scale_as_stated(extractor, foreign)
    taken.add("backbone", f"{name}, {len(found)} tensors", "file")
    taken.add("layers", layer, "computed")
    dtypes = [each.dtype for each in found.values()]
    said_precision("backbone's weights", dtypes, taken)
    return extractor


def scale_as_stated(extractor: FeatureExtractor, foreign: ForeignModel) -> None:
    """Give the network the mean and standard deviation of the file; those of the architecture where it states none."""
    stated = foreign.preprocessing
    extractor.mean = stated.mean or extractor.mean
    extractor.std = stated.std or extractor.std


def architecture_of(name: Any) -> str:
    """Return the name of a timm architecture.

    Raises:
        ModelError: something else, such as a name of another registry.
    """
    is_name = isinstance(name, str) and len(name) <= _LONGEST
    if not is_name or not _ARCHITECTURE.fullmatch(str(name)):
        raise ModelError(
            f"got the backbone {shown(name)} in the hyper-parameters; expected the name of a timm architecture: "
            f"import it with --with-anomalib"
        )
    return str(name)


def _architecture(foreign: ForeignModel) -> str:
    name = architecture_of(foreign.arguments.get("backbone"))
    if "vit" in name.lower():
        raise ModelError(
            f"got the backbone {name}, a transformer of which anomalib takes inner tokens; "
            f"expected a convolutional one: import it with --with-anomalib"
        )
    return name


def _layers(foreign: ForeignModel) -> tuple[str, ...]:
    layers = foreign.arguments.get("layers")
    is_list = isinstance(layers, tuple | list) and len(layers) > 0
    if not is_list or not all(_is_layer(layer) for layer in layers or ()):
        raise ModelError(
            f"got the layers {shown(layers)} in the hyper-parameters; expected names such as layer2"
        )
    return tuple(layers or ())


def _is_layer(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST:
        return False
    return _LAYER.fullmatch(value) is not None


def _network(
    name: str, layers: tuple[str, ...], size: Size
) -> FeatureExtractor:
    if len(layers) > _MOST_LAYERS:
        raise ModelError(
            f"got {len(layers)} layers; expected at most {_MOST_LAYERS}"
        )
    return FeatureExtractor(name, layers, pre_trained=False, size=size)


def _tensors(foreign: ForeignModel, prefix: str) -> dict[str, TensorSource]:
    """Return the tensors of a prefix by the names that they have in a FeatureExtractor; wrappers are removed."""
    found = {}
    for name, tensor in foreign.tensors.items():
        if not name.startswith(prefix):
            continue
        parts = name.removeprefix(prefix).split(".")
        inner = ".".join(part for part in parts if part not in _WRAPPERS)
        if not inner.startswith(_PREFIX):
            inner = _PREFIX + inner
        if inner in found:
            raise ModelError(
                f"got two tensors {inner}, one of them within a wrapper; expected one: save the model again"
            )
        found[inner] = tensor
    if not found:
        raise ModelError(
            f"got no tensors named {prefix}*; expected the weights of the network"
        )
    return found


def _load(
    extractor: FeatureExtractor, found: Mapping[str, TensorSource]
) -> None:
    """Load the weights; batch counters, which have no effect, keep their value."""
    state = extractor.state_dict()
    for name, tensor in found.items():
        if not name.endswith(_COUNTER):
            state[name] = loaded(tensor, name)
    extractor.load_state_dict(state)
