"""RAD: retrieval-based anomaly detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from anomedge.errors import ModelError
from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
    with_method,
)
from anomedge.interop.anomalib.models.dinomaly import Blocks

__all__ = ["Rad", "SameGrid", "nearby", "retrieved"]

Weight = Annotated[float, Field(ge=0, le=1e6)]


class RadArguments(Arguments):
    """Arguments of RAD."""

    backbone: Backbone = "vit_base_patch16_dinov3"
    layers: Blocks | None = None
    k_image: Annotated[int, Field(ge=1, le=1 << 20)] = 150
    use_positional_bank: bool = True
    pos_radius: Annotated[int, Field(ge=0, le=16)] = 1
    max_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    layer_weights: (
        Annotated[tuple[Weight, ...], Field(max_length=64)] | None
    ) = None


class Rad(TorchModel):
    """RAD, with the images of a batch matched at once."""

    name = "Rad"
    module = "anomalib.models.image.rad.torch_model"
    class_name = "RadModel"
    arguments_class = RadArguments
    keys = ("cls_banks", "patch_banks")
    sized = ("cls_banks", "patch_banks")
    size = (512, 512)
    crop = (448, 448)

    @classmethod
    def build(cls, arguments: RadArguments, size: Size) -> nn.Module:
        """Return the model.

        anomalib matches the images one by one, writes into slices, and reads
        the grid of its banks in each call.
        """
        model: Any = with_method(
            super().build(arguments, size), "_compute_patch_scores", _scores
        )
        if arguments.use_positional_bank:
            grid = tuple(side // model.patch_size for side in size)
            model.register_load_state_dict_post_hook(SameGrid(grid))
        return model  # type: ignore[no-any-return]

    @classmethod
    def keywords(cls, arguments: RadArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; layers and weights are lists."""
        del size
        values = arguments.model_dump() | {"pre_trained": False}
        for name in ("layers", "layer_weights"):
            if values[name] is not None:
                values[name] = list(values[name])
        return values


class SameGrid:
    """Refuses banks of images of another size, when they are loaded."""

    def __init__(self, grid: tuple[int, ...]) -> None:
        self._grid = grid

    def __call__(self, model: Any, keys: Any) -> None:
        """Compare the grids.

        Raises:
            ModelError: they differ.
        """
        del keys
        found = tuple(model.bank_grid.tolist())
        if found != self._grid:
            rows, columns = (int(n) * model.patch_size for n in found)
            raise ModelError(
                f"got a bank of images of about {rows}x{columns}; expected one of the size of the images: "
                f"give --size {rows}x{columns}"
            )


def _scores(
    model: Any, patches: Sequence[Tensor], images: Tensor, grid: Size
) -> Tensor:
    """Return the scores of the patches, (B, L), as weighted sums over the layers.

    Args:
        model: the model.
        patches: features of each layer, (B, L, C).
        images: indices of the retrieved images, (B, k).
        grid: rows and columns of the L patches.
    """
    known = retrieved(images, model.patch_banks.shape[2])
    total = torch.zeros_like(patches[0][:, :, 0])
    for layer, features in enumerate(patches):
        query = F.normalize(features, dim=-1)
        bank = model.patch_banks[layer]
        if model.use_positional_bank:
            best = nearby(query, bank, known, grid, model.pos_radius)
        else:
            best = _anywhere(query, bank, known)
        total = total + model._layer_weights[layer] * (1 - best)
    return total


def retrieved(images: Tensor, count: int) -> Tensor | None:
    """Return which of `count` images are retrieved, (B, count), given their indices (B, k); None for all of them."""
    if images.shape[1] == count:
        return None
    numbers = torch.arange(count, device=images.device)
    found = images[:, :, None] == numbers
    return found.to(torch.float32).amax(dim=1) > 0


def nearby(
    query: Tensor, bank: Tensor, known: Tensor | None, grid: Size, radius: int
) -> Tensor:
    """Return the highest cosine similarity of each patch to patches at most `radius` rows and columns away, (B, L).

    Args:
        query: normalised features, (B, L, C).
        bank: normalised features of L patches of N images, (L, N, C).
        known: which of the images count, (B, N); None for all.
        grid: rows and columns of the L patches.
        radius: in patches.
    """
    rows, columns = grid
    channels = query.shape[2]
    shifts = _shifts(radius)
    image = query.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
    around = F.pad(image, (radius,) * 4)
    # Queries move, not the bank, so that the graph has the bank once.
    moved = torch.stack(
        [_window(around, (radius - y, radius - x), grid) for y, x in shifts]
    )
    queries = moved.permute(3, 4, 1, 0, 2).reshape(rows * columns, -1, channels)
    similarity = torch.bmm(queries, bank.transpose(1, 2))
    similarity = similarity.reshape(
        rows * columns, -1, len(shifts), bank.shape[1]
    )
    if known is not None:
        similarity = torch.where(known[:, None, :], similarity, -1.0)
    highest = similarity.amax(dim=3).permute(1, 2, 0)
    levels = F.pad(
        highest.reshape(-1, len(shifts), rows, columns),
        (radius,) * 4,
        value=-1.0,
    )
    back = [
        _window(levels[:, place], (radius + y, radius + x), grid)
        for place, (y, x) in enumerate(shifts)
    ]
    return torch.stack(back).amax(dim=0).clamp(min=-1.0).flatten(1)


def _anywhere(query: Tensor, bank: Tensor, known: Tensor | None) -> Tensor:
    """Return the highest cosine similarity of each patch to all patches, (B, L); arguments as of `nearby`."""
    places, images, channels = bank.shape
    similarity = query @ bank.reshape(-1, channels).T
    best = similarity.reshape(-1, query.shape[1], places, images).amax(dim=2)
    if known is not None:
        best = torch.where(known[:, None, :], best, -1.0)
    return best.amax(dim=2)


def _shifts(radius: int) -> list[tuple[int, int]]:
    """Return the shifts by up to `radius` rows and columns."""
    steps = range(-radius, radius + 1)
    return [(y, x) for y in steps for x in steps]


def _window(values: Tensor, corner: tuple[int, int], grid: Size) -> Tensor:
    """Return a window (..., rows, columns) of values (..., H, W)."""
    (top, left), (rows, columns) = corner, grid
    return values[..., top : top + rows, left : left + columns]
