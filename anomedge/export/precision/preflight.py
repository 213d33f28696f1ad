"""Check that a detector fits into float16, before any file is written.

Ranges come from three sources. Stored tensors are read. The float32 networks run on pictures, and the largest value of
each layer is observed. Quantities of the head are bounded from its stored tensors, for features up to `SAFETY` times
those observed (see `bounds`).

The export halves the networks and the storage of statistics: values that do not fit there are refused, with the name of
the tensor or layer. The rest is float32 in the graph's own types; values that would not fit if a builder option lowered
them (`trtexec --fp16`) are named in a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from anomedge.bundle.ranges import LARGEST, SAFETY, Range
from anomedge.errors import ExportError
from anomedge.export.precision.bounds import (
    FeatureRange,
    bounds_of,
    computed,
    finite,
    largest,
    stored,
)
from anomedge.export.precision.constants import (
    assert_no_constant_vanishes,
    weight_ranges,
)
from anomedge.export.precision.observed import ObservedNetwork, StageRanges
from anomedge.export.precision.storage import WORTH_HALVING, too_small
from anomedge.images import Picture
from anomedge.pipelines.folded_networks import Networks
from anomedge.pipelines.model import Model
from anomedge.pipelines.networks import network_of
from anomedge.pipelines.preprocessing import to_images
from anomedge.pipelines.tiles import Tiles
from anomedge.progress import track

__all__ = [
    "LoweringWarning",
    "assert_halvable",
    "preflight",
    "warn_of_lowering",
]

_RELEVANT = 0.01
"""Share of the score's scale; smaller distances change no decision."""


class LoweringWarning(UserWarning):
    """A quantity would not fit into float16 if a builder option lowered it."""


def preflight(
    model: Model,
    networks: Networks,
    pictures: Sequence[Picture],
    frame: tuple[int, int] | None,
    batch: int | None,
) -> tuple[Range, ...]:
    """Return the value ranges of all quantities that are, or could be lowered to, float16.

    Args:
        model: the fitted detector.
        networks: its `folded_networks`, for this batch.
        pictures: the detector runs on them.
        frame: height and width of the camera's frames; None for pictures of any size.
        batch: the batch size of the graph, or None for any.

    Raises:
        ExportError: values of a layer are not finite in float32, or a constant does not fit into float16.
    """
    observed = _observed(networks)
    pipeline = model.pipeline.with_networks(observed)
    stages, tiles = StageRanges(), Tiles.of(model.geometry)
    for images in _batches(model, pictures, frame, batch or 1):
        with torch.no_grad():
            seen = images if tiles is None else tiles.cut(images)
            stages.add(pipeline.stages(seen))
    ranges = []
    for name, network in networks.items():
        assert_no_constant_vanishes(network)
        ranges += weight_ranges(network, observed[name].prefix)
        ranges += observed[name].ranges()
    return (*ranges, *_statistics(model), *_head(model, stages))


def assert_halvable(ranges: Iterable[Range]) -> None:
    """Refuse values that overflow float16, or may overflow it.

    Raises:
        ExportError: it names the first such tensor or layer, because later ones may follow from it.
    """
    wrong = [
        each
        for each in ranges
        if each.halved and each.verdict in {"overflows", "may overflow"}
    ]
    if not wrong:
        return
    first = wrong[0]
    more = f" ({len(wrong) - 1} more are too large)" if len(wrong) > 1 else ""
    if first.bound is not None:
        raise ExportError(
            f"{first.name} holds {first.bound:.4g}; expected at most {LARGEST:.0f}, float16's largest{more}: "
            f"export in fp32 alone"
        )
    raise ExportError(
        f"{first.name} reaches {first.seen:.4g} on these pictures; expected at most {LARGEST / SAFETY:.0f}, "
        f"float16's largest over a safety of {SAFETY:.0f}{more}: export without fp16; fp16-storage computes in float32"
    )


def warn_of_lowering(ranges: Iterable[Range]) -> None:
    """Warn of float32 quantities that would not fit into float16 if a builder option lowered them."""
    wide = [each for each in ranges if not each.halved]
    clauses = []
    for verdict, consequence in (
        ("overflows", "overflows"),
        ("may overflow", "may overflow"),
        ("underflows", "is lost in part"),
    ):
        found = [each for each in wide if each.verdict == verdict]
        if found:
            names = ", ".join(map(_with_value, found))
            clauses.append(f"{names} {consequence}")
    if clauses:
        warnings.warn(
            f"lowered to float16, {'; '.join(clauses)}; this graph's types keep float32 where it matters: "
            f"build it as it is, without a builder's FP16 flag or trtexec --fp16",
            LoweringWarning,
            stacklevel=3,
        )


def _with_value(quantity: Range) -> str:
    value = quantity.seen or quantity.reach
    if quantity.verdict == "underflows" and quantity.least is not None:
        value = quantity.least
    return f"{quantity.name} ({value:.3g})"


def _observed(networks: Networks) -> dict[str, ObservedNetwork]:
    """Wrap networks; layers carry the network's name if there are several networks."""
    several = len(networks) > 1
    return {
        name: ObservedNetwork(network, f"{name}." if several else "")
        for name, network in networks.items()
    }


def _batches(
    model: Model,
    pictures: Sequence[Picture],
    frame: tuple[int, int] | None,
    batch: int,
) -> Iterable[Tensor]:
    """Yield full batches of images; the last one is filled up with the first pictures."""
    starts = range(0, len(pictures), batch)
    description = "checking value ranges for float16"
    for start in track(starts, description, total=len(starts)):
        images = []
        for i in range(start, start + batch):
            pixels = pictures[i % len(pictures)].frame(frame)
            frames = torch.from_numpy(pixels[None].copy())
            images.append(to_images(frames, model.geometry))
        yield torch.cat(images)


def _head(model: Model, stages: StageRanges) -> list[Range]:
    """Return the bounds of the head's components and the observed ranges of its stages."""
    low, high = stages.features()
    features = FeatureRange(
        low * SAFETY,
        high * SAFETY,
        stages.largest("distances"),
        _RELEVANT * model.decision.scale,
    )
    ranges = []
    for name, component in model.pipeline.named_modules():
        ranges += bounds_of(component, name, features)
    for name in stages.names():
        ranges.append(computed(name, seen=stages.largest(name)))
    return ranges


def _statistics(model: Model) -> list[Range]:
    """Return the ranges of the head's tensors that are stored in float16.

    The smallest relevant value of a tensor is the smallest of its rows' largest values.
    """
    ranges = []
    for name, x in model.pipeline.state_dict().items():
        # A tensor that is too small for float16 stays in float32.
        if not _is_statistics(model, name, x) or too_small(largest(x)):
            continue
        rows = torch.maximum(x.amax(dim=1), -x.amin(dim=1))
        used = rows[rows > 0]
        least = float(used.min()) if len(used) else None
        value = finite(name, largest(x))
        ranges.append(stored("statistics", name, value, least))
    return ranges


def _is_statistics(model: Model, name: str, x: Tensor) -> bool:
    """Return whether `store_halved` stores a tensor of the head in float16."""
    if network_of(model.pipeline, name) or not x.is_floating_point():
        return False
    return x.ndim >= 2 and x.nbytes >= WORTH_HALVING
