"""Read score and anomaly map out of the result of a torch module: a tuple, a record, a dict, or the score alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anomedge.errors import ModelError

__all__ = ["RawOutputs", "raw_outputs"]

SCORES = ("pred_score", "score")
MAPS = ("anomaly_map", "map")
_EXPECTED = "expected (score, map), a record or dict with pred_score and anomaly_map, or the score alone"


class RawOutputs(NamedTuple):
    """Score (B,) and map (B, 1, h, w) of a module; None for a module without a map."""

    score: Tensor
    anomaly_map: Tensor | None


def raw_outputs(result: Any, batch: int) -> RawOutputs:
    """Return score and map of a module's result for a batch of images.

    A score may be (B,) or (B, 1, ...); a map (B, h, w) or (B, 1, h, w). Other fields of a record are ignored.

    Args:
        result: return value of the module.
        batch: number of images, B.

    Raises:
        ModelError: another kind of result, or other shapes.
    """
    score, anomaly_map = _fields(result)
    return RawOutputs(
        _as_scores(score, batch),
        None if anomaly_map is None else _as_maps(anomaly_map, batch),
    )


def _fields(result: Any) -> tuple[Any, Any]:
    if isinstance(result, Tensor):
        return result, None
    if isinstance(result, Mapping):
        return _named(result.get, f"a dict of {', '.join(map(str, result))}")
    if isinstance(result, list | tuple) and not hasattr(result, "_fields"):
        if len(result) == 2:
            return result[0], result[1]
        raise ModelError(
            f"the module returned {len(result)} values; {_EXPECTED}: wrap it in a module that selects them"
        )
    kind = type(result).__name__
    return _named(lambda name: getattr(result, name, None), kind)


def _named(get: Any, description: str) -> tuple[Any, Any]:
    score = _first(get, SCORES)
    if score is None:
        raise ModelError(
            f"the module returned {description}, without {' or '.join(SCORES)}; {_EXPECTED}: wrap it in a module that "
            f"names them so"
        )
    return score, _first(get, MAPS)


def _first(get: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = get(name)
        if value is not None:
            return value
    return None


def _as_scores(score: Any, batch: int) -> Tensor:
    if not isinstance(score, Tensor):
        raise ModelError(
            f"the module's score is a {type(score).__name__}; expected a tensor with one value per image"
        )
    if score.ndim == 0 and batch == 1:
        score = score[None]
    shape = tuple(score.shape)
    if len(shape) >= 3 and shape[-1] != 1:
        raise ModelError(
            f"the module's score has the shape {shape}, that of a map; {_EXPECTED}: return the score first, such as the "
            f"map's maximum of each image"
        )
    if not shape or shape[0] != batch or any(n != 1 for n in shape[1:]):
        raise ModelError(
            f"the module's score has the shape {shape} for {batch} images; expected ({batch},): one value per image"
        )
    return _float32(score.reshape(-1))


def _as_maps(anomaly_map: Any, batch: int) -> Tensor:
    if not isinstance(anomaly_map, Tensor):
        raise ModelError(
            f"the module's map is a {type(anomaly_map).__name__}; expected a tensor (B, 1, H, W)"
        )
    shape = tuple(anomaly_map.shape)
    if len(shape) == 3:
        anomaly_map, shape = anomaly_map[:, None], (shape[0], 1, *shape[1:])
    if len(shape) != 4 or shape[0] != batch or shape[1] != 1:
        raise ModelError(
            f"the module's map has the shape {tuple(anomaly_map.shape)} for {batch} images; expected ({batch}, 1, H, W)"
        )
    return _float32(anomaly_map)


def _float32(x: Tensor) -> Tensor:
    """Convert without a node of the graph where nothing changes; detach results of trained parameters."""
    x = x.detach() if x.requires_grad else x
    return x if x.dtype == torch.float32 else x.to(torch.float32)
