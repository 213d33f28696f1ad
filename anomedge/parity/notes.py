"""Cautions on what a proof of a bundle leaves out; readers of certificates make them again from the bundle."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from anomedge.bundle import Manifest
from anomedge.bundle.variants import FORMATS, MODEL, Variant
from anomedge.runtimes import available, variant_of

__all__ = ["NOT_RUN", "notes_on"]

NOT_RUN = "not run: "
"""Beginning of the notes on variants and files that a plan leaves out."""


def notes_on(
    manifest: Manifest, places: Collection[tuple[str, str]], model: str | None
) -> Iterator[str]:
    """Yield one caution per part of the bundle that a proof leaves out, on too few pixels and on another model file.

    Args:
        manifest: of the bundle.
        places: pairs of runtime and precision that the proof covers; other runtimes than this release's run nothing.
        model: SHA-256 of the proof's model file; None for a proof without one.
    """
    yield from _on_parts_not_run(manifest, places)
    yield from _on_frame(manifest)
    if model not in (None, manifest.model):
        yield f"the manifest names another model file ({manifest.model[:12]!r}) than the one given ({model[:12]!r})"


def _on_parts_not_run(
    manifest: Manifest, places: Collection[tuple[str, str]]
) -> Iterator[str]:
    variant_run = {p: variant_of(p) for p in {p for _, p in places}}
    run = {*variant_run.values()}
    if left_out := sorted(manifest.variants.keys() - run):
        yield f"{NOT_RUN}the bundle's variants {', '.join(left_out)}"
    for precision in sorted(run & manifest.variants.keys()):
        modes = sorted(p for p, v in variant_run.items() if v == precision)
        if precision not in modes:
            yield f"{NOT_RUN}{precision} itself, its mode {', '.join(modes)} alone"
        runtimes = {r for r, p in places if variant_run[p] == precision}
        if not_run := _graphs_not_run(manifest.variants[precision], runtimes):
            yield f"{NOT_RUN}{', '.join(not_run)}"


def _on_frame(manifest: Manifest) -> Iterator[str]:
    image = manifest.image.size
    frame = manifest.geometry.part(manifest.input.frame)
    if manifest.input.resize is None and any(
        2 * pixels < wanted for pixels, wanted in zip(frame, image, strict=True)
    ):
        part = "a frame" if manifest.image.region is None else "a region"
        yield f"{part} of {frame[0]}x{frame[1]} is less than half the detector's image of {image[0]}x{image[1]}"


def _graphs_not_run(variant: Variant, runtimes: Collection[str]) -> list[str]:
    """List the graphs for users, those of layouts included, that none of the runtimes runs."""
    known = available()
    kinds = [known[name] for name in runtimes if name in known]
    not_run: list[str] = []
    for role in (MODEL, *variant.layouts()):
        if variant.find(role) is None:  # as IR alone: nothing runs it
            continue
        files = variant.with_model(role)
        run = {kind.file_of(files, kind.Options()) for kind in kinds}
        shipped = [variant.find(role, format=kind) for kind in FORMATS]
        not_run += [name for name in shipped if name and name not in run]
    return not_run
