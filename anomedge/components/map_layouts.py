"""Layouts of a backbone's feature maps: detect the axes of height and width.

A layer of an arbitrary module may give (B, C, h, w), (B, h, w, C) or tokens (B,
k + h w, C) with k prefix tokens, such as a class token. The output shapes at
two image sizes identify the layout: height and width grow with the image,
channels do not. For a module with a single input size, the layout is inferred
from one shape: height and width must give the same stride. No layout, or more
than one, is an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from anomedge.errors import ModelError

__all__ = ["MapLayout", "layout_of"]

Shape = Sequence[int]
Size = tuple[int, int]

_MOST_PREFIX_TOKENS = 8


@dataclass(frozen=True)
class MapLayout:
    """Layout of one layer's output, with its channels and stride.

    Args:
        kind: "NCHW", "NHWC" or "tokens".
        channels: C.
        stride: pixels of the image for each step of the map.
        prefix: k, tokens before the first patch; 0 for maps.
    """

    kind: str
    channels: int
    stride: int
    prefix: int = 0

    def to_map(self, output: Tensor, size: Size) -> Tensor:
        """Bring a layer's output for an image of `size` (H, W) to (B, C, h, w)."""
        if self.kind == "NCHW":
            return output
        if self.kind == "NHWC":
            return output.permute(0, 3, 1, 2)
        height, width = size[0] // self.stride, size[1] // self.stride
        patches = output[:, self.prefix :].transpose(1, 2)
        return patches.reshape(output.shape[0], self.channels, height, width)


def layout_of(
    layer: str, shapes: Sequence[Shape], sizes: Sequence[Size]
) -> MapLayout:
    """Infer the layout of a layer from its output shapes, for a batch of two, at one or two image sizes (H, W).

    With two sizes, height and width must differ by different factors.

    >>> layout_of("a", [(2, 96, 16, 16), (2, 96, 32, 48)], [(64, 64), (128, 192)])
    MapLayout(kind='NCHW', channels=96, stride=4, prefix=0)
    >>> layout_of("a", [(2, 16, 16, 96), (2, 32, 48, 96)], [(64, 64), (128, 192)])
    MapLayout(kind='NHWC', channels=96, stride=4, prefix=0)
    >>> layout_of("a", [(2, 197, 192)], [(224, 224)])
    MapLayout(kind='tokens', channels=192, stride=16, prefix=1)

    Raises:
        ModelError: no layout, or more than one, fits the shapes.
    """
    if any(not shape or shape[0] != 2 for shape in shapes):
        raise _not_a_map(
            layer, shapes, sizes, "the first axis is not the batch"
        )
    if len({tuple(shape) for shape in shapes}) > 1:
        readings = _scaled_readings(shapes, sizes)
    else:
        readings = _arithmetic_readings(shapes[0], sizes[0])
    if len(readings) == 1:
        return readings[0]
    reason = "several layouts fit" if readings else "neither maps nor tokens"
    raise _not_a_map(layer, shapes, sizes, reason)


def _not_a_map(
    layer: str, shapes: Sequence[Shape], sizes: Sequence[Size], reason: str
) -> ModelError:
    pairs = zip(shapes, sizes, strict=True)
    shown = ", ".join(
        f"{tuple(shape)} for two images of {height}x{width}"
        for shape, (height, width) in pairs
    )
    return ModelError(
        f"layer {layer} gives {shown}: {reason}; expected (B, C, h, w), (B, h, w, C) or tokens (B, k + h w, C): "
        f"name another layer, or wrap the module so that the layer gives (B, C, h, w)"
    )


def _scaled_readings(
    shapes: Sequence[Shape], sizes: Sequence[Size]
) -> list[MapLayout]:
    """List the layouts in which height and width grow in proportion to the image."""
    first, second = shapes
    if len(first) != len(second):
        return []
    grown = tuple(
        axis for axis in range(len(first)) if first[axis] != second[axis]
    )
    if len(first) == 4 and grown in ((2, 3), (1, 2)):
        return _scaled_map(shapes, sizes, grown)
    if len(first) == 3 and grown == (1,):
        return _scaled_tokens(shapes, sizes)
    return []


def _scaled_map(
    shapes: Sequence[Shape], sizes: Sequence[Size], grown: tuple[int, ...]
) -> list[MapLayout]:
    first, second = shapes
    tall, wide = (second[axis] / first[axis] for axis in grown)
    (height, width), (taller, wider) = sizes
    by_height, by_width = taller / height, wider / width
    transposed = abs(tall - by_width) + abs(wide - by_height)
    if abs(tall - by_height) + abs(wide - by_width) >= transposed:
        return []
    columns = grown[1]
    stride = max(1, round((wider - width) / (second[columns] - first[columns])))
    if grown == (2, 3):
        return [MapLayout("NCHW", first[1], stride)]
    return [MapLayout("NHWC", first[3], stride)]


def _scaled_tokens(
    shapes: Sequence[Shape], sizes: Sequence[Size]
) -> list[MapLayout]:
    """Solve n = k + H W / p^2 at both sizes for the patch side p and the number k of prefix tokens."""
    (_, few, channels), (_, many, _) = shapes
    (height, width), (taller, wider) = sizes
    if many <= few:
        return []
    stride = math.isqrt(
        max(1, (taller * wider - height * width) // (many - few))
    )
    prefix = few - height * width // stride**2
    divides = all(side % stride == 0 for side in (height, width, taller, wider))
    exact = many - prefix == taller * wider // stride**2
    if not divides or not exact or not 0 <= prefix <= _MOST_PREFIX_TOKENS:
        return []
    return [MapLayout("tokens", channels, stride, prefix)]


def _arithmetic_readings(shape: Shape, size: Size) -> list[MapLayout]:
    """List the layouts with the same stride on both axes, from the shape at one size."""
    if len(shape) == 4:
        return _arithmetic_maps(shape, size)
    if len(shape) == 3:
        return _arithmetic_tokens(shape, size)
    return []


def _arithmetic_maps(shape: Shape, size: Size) -> list[MapLayout]:
    readings = []
    for kind, channels, rows, columns in (("NCHW", 1, 2, 3), ("NHWC", 3, 1, 2)):
        if 0 in shape:
            continue
        vertical, horizontal = size[0] // shape[rows], size[1] // shape[columns]
        if vertical == horizontal >= 1:
            readings.append(MapLayout(kind, shape[channels], horizontal))
    return readings


def _arithmetic_tokens(shape: Shape, size: Size) -> list[MapLayout]:
    readings = []
    for stride in range(2, min(size) // 2 + 1):
        prefix = shape[1] - (size[0] // stride) * (size[1] // stride)
        divides = not size[0] % stride and not size[1] % stride
        if divides and 0 <= prefix <= _MOST_PREFIX_TOKENS:
            readings.append(MapLayout("tokens", shape[2], stride, prefix))
    return readings
