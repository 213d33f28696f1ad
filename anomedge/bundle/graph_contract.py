"""The contract that every shipped graph carries in its own file, so that a program that has one graph alone can decide.

An ONNX file has it as properties `anomedge.<key>`, an IR as entries `rt_info/anomedge/<key>`. Values are plain texts;
numbers are the shortest texts that give the same float64 again. Thresholds and scale are those of the manifest, never those
of `local.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from anomedge.bundle.manifest import Manifest

__all__ = [
    "CONTRACT_VERSION",
    "ONNX_PREFIX",
    "SECTION",
    "InputForm",
    "as_properties",
    "entries_of_contract",
]

CONTRACT_VERSION = 1
SECTION = "anomedge"
"""Section of `rt_info` in an IR."""
ONNX_PREFIX = f"{SECTION}."
"""Prefix of the keys in an ONNX file."""


class InputForm(NamedTuple):
    """The input of a layout, and the form of its scores.

    Attributes:
        layout: name of the layout.
        axes: order of the axes, `NHWC` or `NCHW`.
        colour: order of the channels, `RGB`, `BGR` or `grey`.
        values: values of black and of white.
        scores: `raw`, or `normalised` with the threshold at 1/2.
    """

    layout: str
    axes: str
    colour: str
    values: tuple[int, int]
    scores: str


def entries_of_contract(manifest: Manifest, form: InputForm) -> dict[str, str]:
    """Return the contract of a graph with this input, by key."""
    decision, taken = manifest.decision, manifest.input
    entries = {
        "contract": str(CONTRACT_VERSION),
        "layout": form.layout,
        "axes": form.axes,
        "colour": form.colour,
        "values": _joined(form.values),
        "height": str(taken.height),
        "width": str(taken.width),
        "batch": str(taken.batch),
        "scores": form.scores,
        "threshold": repr(decision.threshold),
        "minimum": repr(decision.minimum),
        "maximum": repr(decision.maximum),
        "scale": repr(decision.scale),
        "detector": manifest.detector,
        "model": manifest.model,
    }
    if decision.has_map:
        entries["pixel_threshold"] = repr(decision.threshold_of_map)
    if manifest.levels is not None:
        entries["levels"] = _joined(manifest.levels)
    if manifest.input.resize is not None:
        entries |= _entries_of_resize(manifest)
    return dict(sorted(entries.items()))


def as_properties(entries: Mapping[str, str]) -> dict[str, str]:
    """Return a contract under the keys of an ONNX file.

    >>> as_properties({"threshold": "0.5"})
    {'anomedge.threshold': '0.5'}
    """
    return {ONNX_PREFIX + key: value for key, value in entries.items()}


def _entries_of_resize(manifest: Manifest) -> dict[str, str]:
    """Return the resize that the program does itself: region, size and crop."""
    image = manifest.image
    entries = {
        "resize": str(manifest.input.resize),
        "size": _joined(image.size),
    }
    if image.crop is not None:
        entries["crop"] = _joined(image.crop)
    if image.region is not None:
        entries["region"] = _joined(image.region)
    return entries


def _joined(numbers: tuple[float, ...]) -> str:
    return " ".join(map(repr, numbers))
