r"""What of a detector float16 could not hold, found before anything is written.

Three kinds of knowledge. **Stored**: tensors are read as they are. **Seen**: the float32 backbone runs on the pictures, and
each of its layers is watched. **Proven**: what the head computes is bounded from its stored tensors, for features up to
`SAFETY` times those seen. With the features of a channel within :math:`[l_j, h_j]` and :math:`m_j` their largest offset,

.. math:: |x_j - \mu_j| \le m_j, \qquad |W (x - \mu)|_i \le \sum_j |W_{ij}|\, m_j, \qquad
          \lVert W (x - \mu) \rVert^2 \le \sum_i \Big(\sum_j |W_{ij}|\, m_j\Big)^2

for a Gaussian, and for a bank of centred vectors :math:`v`

.. math:: |x \cdot v| \le \sum_j |v_j|\, m_j, \qquad \lVert x - v \rVert^2 \le \sum_j (m_j + |v_j|)^2

The export halves the backbone and how the statistics are stored: what would not fit there is refused, by name. The rest is
float32 in the graph's own types; what would not fit if somebody lowered it (a builder's flag, `trtexec --fp16`) is named.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn

from anomedge.bundle.ranges import LARGEST, SAFETY, Part, Range
from anomedge.components import MemoryBank, MultiVariateGaussian
from anomedge.errors import ExportError
from anomedge.export.precision.half import IN_FLOAT32, layer_of
from anomedge.export.precision.storage import WORTH_HALVING, too_small
from anomedge.images import Picture
from anomedge.pipelines.model import Model
from anomedge.pipelines.preprocessing import to_images
from anomedge.progress import track

__all__ = [
    "LoweringWarning",
    "Reach",
    "assert_halvable",
    "bounds_of",
    "preflight",
    "warn_of_lowering",
]

_SHOWN = 5
"""Of the backbone's layers and of its weights as many, those nearest to the limit."""
_MATTERS = 0.01
"""Share of the score's scale: a distance that small changes no decision."""
_PATCHES_AT_ONCE = 256
_PRODUCTS = {"addmm", "bmm", "conv1d", "conv2d", "linear", "matmul", "mm"}
_ROUNDED = 5e-4
"""Half of the last of the four digits that a range is kept with."""


class Reach(NamedTuple):
    """What the head has to reckon with: features of d channels between `low` and `high`, (d,) each."""

    low: Tensor
    high: Tensor
    distance: float
    """The largest seen."""
    matters: float
    """The least that changes a decision."""


def preflight(
    model: Model,
    backbone: fx.GraphModule,
    pictures: Sequence[Picture],
    frame: tuple[int, int],
    batch: int | None,
) -> tuple[Range, ...]:
    """How far everything goes that the export halves, or that somebody else could.

    Args:
        model: the fitted detector.
        backbone: its `folded_backbone`, for this batch.
        pictures: to run it on.
        frame: height and width of the camera's frames.
        batch: the one size that the graph is for, or None for any.

    Raises:
        ExportError: a layer's values are not finite, even in float32.
    """
    layers, stages = _Watched(backbone), _Extremes()
    pipeline, count = model.pipeline.with_extractor(layers), batch or 1
    starts = range(0, len(pictures), count)
    for start in track(
        starts, "looking for what float16 cannot hold", total=len(starts)
    ):
        frames = np.stack(
            [
                pictures[(start + i) % len(pictures)].frame(frame)
                for i in range(count)
            ]
        )
        with torch.no_grad():
            stages.add(
                pipeline.stages(
                    to_images(torch.from_numpy(frames), model.geometry)
                )
            )
    _assert_no_constant_vanishes(backbone)
    low, high = stages.features()
    reach = Reach(
        low * SAFETY,
        high * SAFETY,
        stages.largest("distances"),
        _MATTERS * model.decision.scale,
    )
    found = [*_weights(backbone), *layers.ranges(), *_statistics(model)]
    for name, part in model.pipeline.named_modules():
        found += bounds_of(part, name, reach)
    found += [
        _computed(name, seen=stages.largest(name))
        for name in ("distances", "anomaly_map", "score")
    ]
    return tuple(found)


def assert_halvable(ranges: Iterable[Range]) -> None:
    """Refuse to put into float16 what it cannot hold, or may not.

    Raises:
        ExportError: it names the first such tensor or layer; what follows may be its doing.
    """
    wrong = [
        r
        for r in ranges
        if r.halved and r.verdict in {"overflows", "may overflow"}
    ]
    if not wrong:
        return
    first, more = (
        wrong[0],
        f" ({len(wrong) - 1} more are too large)" if len(wrong) > 1 else "",
    )
    if first.bound is not None:
        raise ExportError(
            f"{first.name} holds {first.bound:.4g}; expected at most {LARGEST:.0f}, float16's largest{more}: "
            f"export in fp32 alone"
        )
    raise ExportError(
        f"{first.name} reaches {first.seen:.4g} on these pictures; expected at most {LARGEST / SAFETY:.0f}, "
        f"float16's largest over a safety of {SAFETY:.0f}{more}: export without fp16; fp16-storage computes in float32"
    )


class LoweringWarning(UserWarning):
    """Something would not fit into float16 if somebody put it there."""


def warn_of_lowering(ranges: Iterable[Range]) -> None:
    """Name what float32 in the graph's types keeps from overflowing, as long as nobody lowers it."""
    said = []
    for verdict, what in (
        ("overflows", "overflows"),
        ("may overflow", "may overflow"),
        ("underflows", "is lost in part"),
    ):
        found = [r for r in ranges if r.verdict == verdict and not r.halved]
        names = [
            f"{r.name} ({(r.least if what == 'is lost in part' else r.seen or r.reach):.3g})"
            for r in found
        ]
        said += [f"{', '.join(names)} {what}"] if names else []
    if said:
        warnings.warn(
            f"lowered to float16, {'; '.join(said)}; this graph's types keep float32 where it matters: "
            f"build it as it is, without a builder's FP16 flag or trtexec --fp16",
            LoweringWarning,
            stacklevel=3,
        )


@singledispatch
def bounds_of(_part: nn.Module, _name: str, _reach: Reach) -> list[Range]:
    """What a component of the head computes, bounded from its tensors; nothing of those that are not known here."""
    return []


@bounds_of.register
def _(part: MultiVariateGaussian, name: str, reach: Reach) -> list[Range]:
    if len(reach.low) != len(part.mean):
        return []
    offset = _offset(reach, part.mean).T
    seen, largest, squares = (
        reach.distance**2,
        0.0,
        torch.zeros(len(offset), dtype=torch.float64),
    )
    for rows in (
        block for key, block in part.named_buffers() if key.startswith("rows")
    ):
        for start in range(0, len(rows), _PATCHES_AT_ONCE):
            patches = slice(start, start + _PATCHES_AT_ONCE)
            sums = torch.matmul(
                offset[patches, None, : rows.shape[1]],
                rows[patches].abs().double(),
            )[:, 0]
            largest = max(largest, float(sums.max()))
            squares[patches] += sums.square().sum(dim=1)
    return [
        _computed(f"{name}: x - mean", bound=float(offset.max())),
        _computed(f"{name}: W (x - mean)", bound=largest),
        _computed(
            f"{name}: |W (x - mean)|^2",
            seen=seen,
            bound=float(squares.max()),
            least=reach.matters**2,
        ),
    ]


@bounds_of.register
def _(part: MemoryBank, name: str, reach: Reach) -> list[Range]:
    if len(reach.low) != len(part.centre):
        return []
    offset, vectors, half_norms = (
        _offset(reach, part.centre),
        part.vectors.abs().double(),
        part.half_norms,
    )
    product = float((vectors @ offset).max())
    norm = float(half_norms.abs().max())
    square = float((vectors + offset).square().sum(dim=1).max())
    return [
        _computed(f"{name}: x - centre", bound=float(offset.max())),
        _computed(f"{name}: |v|^2 / 2", seen=norm, bound=norm),
        _computed(f"{name}: x v", bound=product),
        _computed(f"{name}: |v|^2 / 2 - x v", bound=norm + product),
        _computed(
            f"{name}: |x - v|^2",
            seen=reach.distance**2,
            bound=square,
            least=reach.matters**2,
        ),
        _computed(f"{name}: |x - v|", seen=reach.distance, bound=square**0.5),
        # Softmax takes off its largest argument first; written out, exp(|x - v|) would leave float16 from 11.1 on.
        _computed(f"{name}: exp in the re-weighting's Softmax", bound=1.0),
    ]


def _offset(reach: Reach, centre: Tensor) -> Tensor:
    """How far features may be from a centre, (d,) or (d, P), in float64."""
    ends = [
        end.double().reshape(-1, *[1] * (centre.ndim - 1)) - centre.double()
        for end in (reach.low, reach.high)
    ]
    return torch.maximum(ends[0].abs(), ends[1].abs())


class _Watched(nn.Module):
    """A backbone that remembers how far each of its layers went."""

    def __init__(self, backbone: fx.GraphModule) -> None:
        super().__init__()
        self.backbone = backbone
        self.largest: dict[str, float] = {}

    def forward(self, images: Tensor) -> Any:
        return _Watch(self.backbone, self.largest).run(images)

    def ranges(self) -> list[Range]:
        """Of the layers that went farthest and the first that went too far, in the network's order."""
        shown = set(
            sorted(self.largest, key=self.largest.__getitem__)[-_SHOWN:]
        )
        shown |= set(
            [
                name
                for name, value in self.largest.items()
                if value * SAFETY > LARGEST
            ][:1]
        )
        ranges = (
            Range(part="backbone", name=name, halved=True, seen=_short(value))
            for name, value in self.largest.items()
        )
        return [each for each in ranges if each.name in shown]


class _Watch(fx.Interpreter):
    """One walk through a backbone."""

    def __init__(
        self, backbone: fx.GraphModule, largest: dict[str, float]
    ) -> None:
        super().__init__(backbone)
        self.largest = largest

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if (
            n.op in {"call_function", "placeholder"}
            and isinstance(result, Tensor)
            and result.is_floating_point()
        ):
            name = layer_of(n)
            value = _finite(name, _largest(result))
            self.largest[name] = max(self.largest.get(name, 0.0), value)
        return result


class _Extremes:
    """Least and largest value of each channel of each stage."""

    def __init__(self) -> None:
        self.ends: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, stages: Mapping[str, Tensor]) -> None:
        for name, x in stages.items():
            rows = x.transpose(0, 1).flatten(1) if x.ndim > 1 else x[None]
            low, high = rows.amin(dim=1), rows.amax(dim=1)
            if name in self.ends:
                low, high = (
                    torch.minimum(low, self.ends[name][0]),
                    torch.maximum(high, self.ends[name][1]),
                )
            self.ends[name] = low, high

    def largest(self, name: str) -> float:
        return (
            _largest(torch.cat(self.ends[name])) if name in self.ends else 0.0
        )

    def features(self) -> tuple[Tensor, Tensor]:
        """Of the channels of all layers, (d,) and (d,); 0 lies between, as where a padded average brings it in."""
        ends = [
            torch.stack(ends)
            for name, ends in self.ends.items()
            if name.startswith("features/")
        ]
        low, high = torch.cat([torch.zeros(2, 0), *ends], dim=1)
        return low.clamp(max=0), high.clamp(min=0)


def _assert_no_constant_vanishes(backbone: fx.GraphModule) -> None:
    """What keeps a divisor from zero must not itself become zero, as 1e-12 does.

    A number among an operator's arguments counts where the operator computes in float16. A stored tensor counts where
    nothing of it would be left; weights of products may: what they add is as small, and its Range says so.
    """
    for node in backbone.graph.nodes:
        if node.op == "call_function" and node.target not in IN_FLOAT32:
            for constant in (
                x
                for x in (*node.args, *node.kwargs.values())
                if isinstance(x, float)
            ):
                _assert_in_float16(layer_of(node), abs(constant))
        elif node.op == "get_attr" and any(
            _name(user) not in _PRODUCTS for user in node.users
        ):
            _assert_in_float16(
                node.target,
                _largest_of_floats(attrgetter(node.target)(backbone)),
            )


def _assert_in_float16(name: str, constant: float) -> None:
    exact = constant == 0 or not math.isfinite(
        constant
    )  # float16 has infinities as well
    if not exact and not 0 < float(torch.tensor(constant).half()) < math.inf:
        raise ExportError(
            f"{name} computes with {constant:g}, which float16 does not have; expected magnitudes from 6e-8 to "
            f"{LARGEST:.0f}: export without fp16; fp16-storage computes in float32"
        )


def _largest_of_floats(x: Tensor) -> float:
    return _largest(x) if x.is_floating_point() else 0.0


def _name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", None)
    return str(getattr(packet, "__name__", ""))


def _weights(backbone: fx.GraphModule) -> list[Range]:
    """Of the backbone's tensors, those that hold the largest numbers, and those that hold none that float16 keeps whole."""
    tensors = {
        n.target: attrgetter(n.target)(backbone)
        for n in backbone.graph.find_nodes(op="get_attr")
    }
    largest = {
        name: _finite(name, _largest(x))
        for name, x in tensors.items()
        if x.is_floating_point()
    }
    farthest = sorted(largest.items(), key=lambda item: -item[1])[:_SHOWN]
    vanishing = [item for item in largest.items() if too_small(item[1])][
        :_SHOWN
    ]
    stored = [
        _stored("backbone", name, value)
        for name, value in farthest
        if not too_small(value)
    ]
    return stored + [
        _stored("backbone", name, value, least=value)
        for name, value in vanishing
    ]


def _statistics(model: Model) -> list[Range]:
    """The head's tensors that are kept in float16; of the least, a row counts as far as its largest number."""
    found = []
    for name, x in model.pipeline.state_dict().items():
        if (
            name.startswith("extractor.")
            or not x.is_floating_point()
            or x.ndim < 2
            or x.nbytes < WORTH_HALVING
        ):
            continue
        if too_small(_largest(x)):
            continue  # it stays in float32
        rows = torch.maximum(x.amax(dim=1), -x.amin(dim=1))
        used = rows[rows > 0]
        least = float(used.min()) if len(used) else None
        found.append(
            _stored("statistics", name, _finite(name, _largest(x)), least)
        )
    return found


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ExportError(
            f"{name} comes to {value} in float32; expected finite numbers: fit on another backbone"
        )
    return value


def _largest(x: Tensor) -> float:
    if not x.numel():
        return 0.0
    low, high = torch.aminmax(x.detach())
    return max(-float(low), float(high))


def _stored(
    part: Part, name: str, value: float, least: float | None = None
) -> Range:
    """A tensor that the export halves: what it holds is known."""
    return Range(
        part=part,
        name=name,
        halved=True,
        seen=_short(value),
        bound=_short(value),
        least=least and _short(least),
    )


def _computed(
    name: str,
    *,
    seen: float | None = None,
    bound: float | None = None,
    least: float | None = None,
) -> Range:
    """A quantity of the head."""
    proven = None if bound is None else _short(bound * (1 + _ROUNDED))
    return Range(
        part="head",
        name=name,
        seen=seen and _short(seen),
        bound=proven,
        least=least and _short(least),
    )


def _short(value: float) -> float:
    """With four digits: the last ones differ between processors."""
    return float(f"{value:.3e}")
