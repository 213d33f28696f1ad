"""Files of a bundle that nothing proves: users could take another graph, or another picture, for a proven one.

A bundle may hold the graphs of its variants, their weights, and its golden frames with their outputs. Names are compared
exactly: `model.ONNX` is another file than `model.onnx`.
"""

from __future__ import annotations

from collections.abc import Iterator

from anomedge.bundle import Manifest
from anomedge.bundle.variants import FORMATS, MODEL, SEGMENTS, STAGES, Variant
from anomedge.parity.golden import golden_files

__all__ = ["stowaways"]

_ONNX, _IR = FORMATS
_SUFFIXES = {_ONNX: ".onnx", _IR: ".xml"}


def stowaways(manifest: Manifest) -> Iterator[str]:
    """Yield one phrase per graph whose name is not of its format, and per file that nothing in the manifest names."""
    known = golden_files(manifest)
    for variant in manifest.variants.values():
        for kind, role, name in _graphs(variant):
            suffix = _SUFFIXES[kind]
            if not name.endswith(suffix):
                yield f"{name} is a graph as {kind}; expected a name with {suffix}"
            known |= {name, *_weights(kind, role, name)}
    for name in manifest.files:
        if name not in known:
            yield f"{name} is named by no variant and no golden frame, so nothing proves it"


def _graphs(variant: Variant) -> Iterator[tuple[str, str, str]]:
    for role in (MODEL, STAGES, SEGMENTS, *variant.layouts()):
        for kind in FORMATS:
            name = variant.find(role, kind)
            if name is not None:
                yield kind, role, name


def _weights(kind: str, role: str, name: str) -> Iterator[str]:
    """Yield the file that may hold a graph's weights; other ONNX graphs read those of the model."""
    if kind == _IR:
        yield name.removesuffix(_SUFFIXES[_IR]) + ".bin"
    elif role == MODEL:
        yield f"{name}.data"
