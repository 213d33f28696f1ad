"""FastFlow of anomalib: flows of each layer, and the layer normalisation before them, if the backbone is convolutional.

A permutation is stored as a matrix there, and as indices here. In anomalib 1.2 the padding is a layer of its own, so the
convolutions of a subnet are its layers 1 and 4, not 0 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from anomedge.interop.anomalib.backbone import (
    cut_transformer,
    feature_extractor,
)
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Taken,
    TensorSource,
)
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    refuse_misshapen,
    said_precision,
)
from anomedge.pipelines.fastflow import Fastflow, FastflowConfig, Flows

__all__ = ["ImportedFastflow"]

Size = tuple[int, int]

_LAYERS = ("layer1", "layer2", "layer3")
_CONVOLUTIONAL = ("resnet18", "wide_resnet50_2")
_BLOCKS = {
    "deit_base_distilled_patch16_384": "blocks.7",
    "cait_m48_448": "blocks.40",
}
"""The last block of a transformer that anomalib runs."""
_BACKBONE, _FLOWS, _NORMS = "feature_extractor.", "fast_flow_blocks.", "norms."
_PARTS = (_BACKBONE, _FLOWS, _NORMS)
_MATRIX, _INVERSE, _ORDER = "w_perm", "w_perm_inv", "order"
_PADDED = {"subnet.1": "subnet.0", "subnet.4": "subnet.2"}
"""Names of the convolutions behind layers that pad, and of those without."""


class ImportedFastflow(ImportedDetector):
    """FastFlow, normalising flows on features, as `anomedge.pipelines.fastflow.Fastflow`."""

    name = "fastflow"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has flows, a backbone, and nothing of another model."""
        return tensors_fit(foreign, (_BACKBONE, _FLOWS), _PARTS)

    @classmethod
    def build(cls, foreign: ForeignModel, size: Size, taken: Taken) -> Fastflow:
        """Return the trained FastFlow; see `ImportedDetector.build`."""
        extractor = _extractor(foreign, size, taken)
        config = _config(foreign.arguments, extractor, size)
        flows = Flows(extractor.channels, config)
        pipeline = Fastflow(config, extractor, flows).eval()
        _load_flows(pipeline, foreign)
        pipeline.norms.load_state_dict(_norms(pipeline, foreign))
        kernels = "3x3" if config.conv3x3_only else "3x3 and 1x1 in turn"
        taken.add(
            "flows",
            f"{config.flow_steps} steps with kernels of {kernels}",
            "file",
        )
        trained = [
            tensor.dtype
            for name, tensor in foreign.tensors.items()
            if name.startswith((_FLOWS, _NORMS))
        ]
        said_precision("flows", trained, taken)
        return pipeline


def _extractor(
    foreign: ForeignModel, size: Size, taken: Taken
) -> FeatureExtractor:
    backbone = foreign.arguments.get("backbone")
    if backbone in _CONVOLUTIONAL:
        arguments = {**foreign.arguments, "layers": _LAYERS}
        named = replace(foreign, arguments=arguments)
        return feature_extractor(named, size, taken)
    if isinstance(backbone, str) and backbone in _BLOCKS:
        return cut_transformer(foreign, _BLOCKS[backbone], size, taken)
    expected = ", ".join((*_CONVOLUTIONAL, *_BLOCKS))
    raise ModelError(
        f"got the backbone {shown(backbone)} in the hyper-parameters; expected one of {expected}: fit the model again"
    )


def _config(
    arguments: Mapping[str, Any], extractor: FeatureExtractor, size: Size
) -> FastflowConfig:
    """Return the configuration; anomalib's defaults stand for absent arguments.

    Raises:
        InputError: an argument of another type or out of range.
    """
    return FastflowConfig.of(
        extractor,
        size,
        flow_steps=arguments.get("flow_steps", 8),
        conv3x3_only=arguments.get("conv3x3_only", False),
        hidden_ratio=arguments.get("hidden_ratio", 1.0),
        has_norm=extractor.backbone in _CONVOLUTIONAL,
    )


def _load_flows(pipeline: Fastflow, foreign: ForeignModel) -> None:
    """Load the flows of all layers.

    Raises:
        ModelError: tensors of other names or shapes, or a matrix that permutes nothing.
    """
    found = _own(foreign, _FLOWS)
    state: dict[str, Tensor] = {}
    expected: dict[str, Tensor] = {}
    for name, tensor in pipeline.flows.levels.state_dict().items():
        stem, _, leaf = name.rpartition(".")
        if leaf == _ORDER:
            count = len(tensor)
            matrix = torch.empty(count, count, 1, 1, device="meta")
            expected |= {f"{stem}.{_MATRIX}": matrix}
            expected |= {f"{stem}.{_INVERSE}": matrix}
        else:
            expected[name] = tensor
    refuse_misshapen(found, expected, (_INVERSE,), "the flows")
    for name, source in found.items():
        stem, _, leaf = name.rpartition(".")
        if leaf == _MATRIX:
            state[f"{stem}.{_ORDER}"] = _order(loaded(source, name), name)
        elif leaf != _INVERSE:
            state[name] = loaded(source, name)
    pipeline.flows.levels.load_state_dict(state)


def _own(foreign: ForeignModel, prefix: str) -> dict[str, TensorSource]:
    """Return the tensors of a prefix by their names without it, convolutions by those without padding."""
    own = {
        name.removeprefix(prefix): tensor
        for name, tensor in foreign.tensors.items()
        if name.startswith(prefix)
    }
    is_padded = any(".subnet.4." in name for name in own)
    return {
        _without_padding(name) if is_padded else name: tensor
        for name, tensor in own.items()
    }


def _without_padding(name: str) -> str:
    for padded, plain in _PADDED.items():
        name = name.replace(f".{padded}.", f".{plain}.")
    return name


def _order(matrix: Tensor, name: str) -> Tensor:
    """Return the indices of a permutation matrix (C, C, 1, 1).

    Raises:
        ModelError: not one 1 in each row and column, and zeros.
    """
    square = matrix[:, :, 0, 0]
    order = square.argmax(dim=1)
    ones = torch.eye(len(square))[order]
    each_once = bool((square.sum(dim=0) == 1).all())
    if not each_once or not torch.equal(ones, square):
        raise ModelError(
            f"got tensor {name}, which permutes no channels; expected one 1 in each row and column, and zeros: "
            f"import it with --with-anomalib"
        )
    return order


def _norms(pipeline: Fastflow, foreign: ForeignModel) -> dict[str, Tensor]:
    """Return the tensors of the layer normalisations.

    Raises:
        ModelError: tensors of other names, or of another size of images.
    """
    found = _own(foreign, _NORMS)
    height, width = pipeline.config.size
    what = f"the norms of images of {height}x{width}"
    refuse_misshapen(found, pipeline.norms.state_dict(), (), what)
    return {name: loaded(source, name) for name, source in found.items()}
