"""Bake a device's thresholds: write a model file with them as its own, and export it as the source bundle was exported.

The proof of a bundle compares its decision with that of a model file. So a baked bundle gets a model file of its own; no
proof accepts a decision that no model file has.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx

from anomedge.bundle import Bundle, LocalSettings, Manifest, require_outside
from anomedge.errors import InputError
from anomedge.export.bundling import check_options, export_model
from anomedge.export.options import ExportOptions
from anomedge.files import atomic_file
from anomedge.images import Picture, held
from anomedge.parity import Certificate
from anomedge.parity.golden import read_golden
from anomedge.pipelines.model import Model, load, save
from anomedge.threshold import Decision

__all__ = ["bake", "baked_path"]


def baked_path(target: Path) -> Path:
    """Return the model file of a baked bundle.

    >>> baked_path(Path("line3.anomedge")).name
    'line3.safetensors'
    """
    return target.with_name(f"{target.stem}.safetensors")


def bake(
    bundle: Bundle,
    path: Path,
    target: Path,
    *,
    runtimes: Sequence[str] = (),
) -> Certificate:
    """Write a bundle, and its model file, whose decision is the one in force on this device; the source stays as it is.

    Both are published when the proof against eager Torch has passed, the model file last.

    Args:
        bundle: the source, with local settings.
        path: the model file that it was exported from.
        target: the new bundle; its model file is `baked_path(target)`.
        runtimes: to prove under; all that can run here when empty.

    Raises:
        InputError: no local settings, another model file, or a target in the source or of the model file's name.
        OutputError: a file exists or cannot be written.
        ProofFailed: the new bundle decides differently from eager Torch.
    """
    local = bundle.local
    if local is None:
        raise InputError(
            f"got {bundle.path} without thresholds of this device; expected some to bake: set them with --set or --normal"
        )
    require_outside(bundle, target)
    if baked_path(target) == target:
        raise InputError(
            f"got {target} for the bundle, which is the name of its model file; expected another ending: give {target.stem}.anomedge"
        )
    model = load(path)
    _check_source(bundle, model, path)
    options = _options(bundle, runtimes)
    names = check_options(target, options)
    decision = baked_decision(bundle.manifest, local)
    with atomic_file(baked_path(target)) as temporary:
        save(
            dataclasses.replace(model, decision=decision),
            temporary,
            force=True,
        )
        baked = load(temporary)
        certificate = export_model(
            baked, baked_path(target), target, options, names
        )
    _warn_of_other_graphs(bundle, Bundle.open(target))
    return certificate


def baked_decision(manifest: Manifest, local: LocalSettings) -> Decision:
    """Return the decision in force, with its origin; measurements at the former threshold are left out."""
    made = manifest.decision
    by = "; ".join(
        part for part in (local.pictures, local.by, local.when) if part
    )
    origin = made.origin.model_copy(
        update={
            "rule": "baked",
            "rate": local.rate,
            "margin": 0.0,
            "extrapolated": False,
            "baked_from": manifest.digest,
            "baked_by": by[:2048] or None,
            "normals": local.normals or made.origin.normals,
            **dict.fromkeys(_AT_THE_FORMER),
            "outliers": (),
            "ties": (),
        }
    )
    return local.applied_to(made).model_copy(update={"origin": origin})


_AT_THE_FORMER = (
    "recall", "tail", "sensitivity", "caught", "alarms", "shift", "carried_by",
)  # fmt: skip
"""Fields of an origin that describe the former threshold."""


def _check_source(bundle: Bundle, model: Model, path: Path) -> None:
    manifest = bundle.manifest
    if model.digest != manifest.model:
        raise InputError(
            f"got the model file {path} of digest {model.digest[:16]}; expected {manifest.model[:16]}, which {bundle.path} was "
            f"exported from"
        )
    if model.decision != manifest.decision:
        raise InputError(
            f"got {bundle.path} with another decision than its model file {path}; expected the same: run verify --model"
        )


def _options(bundle: Bundle, runtimes: Sequence[str]) -> ExportOptions:
    """Return the options of the source's export; its own golden pictures are proven again."""
    manifest = bundle.manifest
    variants = manifest.variants.values()
    layouts = [name for variant in variants for name in variant.layouts()]
    pictures: list[Picture] = []
    if manifest.golden_source == "pictures":
        stored = read_golden(bundle).pictures
        pictures = held([p for p in stored if p.generated is None])
    return ExportOptions(
        frame="any" if manifest.input.resize else manifest.input.frame,
        batch=manifest.input.batch,
        opset=manifest.opset,
        runtimes=runtimes,
        precisions=tuple(manifest.variants),
        layout=tuple(dict.fromkeys(layouts)) or "frames",
        search="fp32" if manifest.search is None else "int8",
        pictures=pictures,
    )


def _warn_of_other_graphs(source: Bundle, baked: Bundle) -> None:
    """Warn if the model's graph is another one, as another release of Torch traces it."""
    for precision, variant in source.manifest.variants.items():
        name = baked.manifest.variants[precision].graph()
        if _graph(source, variant.graph()) != _graph(baked, name):
            warnings.warn(
                f"{name} is not the graph of {source.path}, because other tools wrote it; the new bundle was proven with it",
                stacklevel=3,
            )


def _graph(bundle: Bundle, name: str) -> bytes:
    """Return a graph without its contract."""
    model = onnx.load_from_string(bundle.read(name))
    return bytes(model.graph.SerializeToString(deterministic=True))
