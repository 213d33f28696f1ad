"""Export a model file to a bundle: build in a temporary folder, prove, then rename."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from anomedge import runtimes
from anomedge.bundle import (
    Bundle,
    Golden,
    InputContract,
    OutputContract,
    unsigned,
    write_manifest,
)
from anomedge.bundle.ranges import Range
from anomedge.bundle.search import SEARCH_STAGES
from anomedge.errors import InputError, ProofFailed
from anomedge.export.checks import (
    check_batch,
    check_colour,
    check_layout,
    check_precisions,
    check_replaced,
    check_shape,
    check_with_model,
    warn_of_sizes,
)
from anomedge.export.failed_precisions import advice_on_precisions
from anomedge.export.graph_files import variant_files, write_graphs
from anomedge.export.graphs import copy_of
from anomedge.export.module_tracing import tracer_of
from anomedge.export.options import ExportOptions
from anomedge.export.own_rounding import advice_on_rounding
from anomedge.export.precision.half import halved
from anomedge.export.precision.preflight import (
    assert_halvable,
    preflight,
    warn_of_lowering,
)
from anomedge.export.precision.setting import set_precision
from anomedge.export.proof import pictures_of, reference_from_model
from anomedge.export.quantising import (
    assert_quantised,
    quantised_model,
    statement,
)
from anomedge.export.search import check_search, record_of, with_search
from anomedge.export.tracing import OUTPUTS, Tracer
from anomedge.extras import install_advice
from anomedge.files import atomic_directory, canonical_json, check_target
from anomedge.images import Picture
from anomedge.parity import Certificate, Plan, Reference, prove
from anomedge.parity.certificate import TOLERANCES, failure_text, merged
from anomedge.parity.golden import golden_outputs, write_golden
from anomedge.parity.pictures import extremes
from anomedge.parity.plan import batches_of
from anomedge.parity.statements import needs_ranges
from anomedge.parity.tolerances import release_tolerance
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.model import Model, load, tool_versions
from anomedge.precisions import PRECISIONS
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import (
    OutsideResize,
    generated_size,
    stated_size,
)

__all__ = ["ExportOptions", "check_options", "export", "export_model"]


def export(path: Path, target: Path, options: ExportOptions) -> Certificate:
    """Export a model file to a bundle and prove it; a bundle that fails its proof is not published.

    Raises:
        ModelError, InputError, ExportError, OutputError: see `anomedge.errors`.
        ProofFailed: the graphs decide differently from eager Torch.
    """
    names = check_options(target, options)
    given = load(path, backbone=options.backbone)
    check_with_model(given, options)
    with quantised_model(given, path, options) as (model, source):
        return export_model(model, source, target, options, names)


def check_options(target: Path, options: ExportOptions) -> list[str]:
    """Check the options and the target before long work; return the names of the runtimes to prove under.

    Raises:
        InputError, OutputError: one that cannot be used.
    """
    names = [
        runtimes.get(name).name for name in options.runtimes
    ] or runtimes.usable()
    if not names:
        raise InputError(
            f"no runtime is installed to prove under; expected one: {install_advice('ort')}"
        )
    check_shape(options)
    check_layout(options)
    check_precisions(options)
    check_search(options)
    release_tolerance(options.precisions[0], options.widen)
    check_replaced(target, options.force)
    check_target(target, force=options.force)
    return names


def export_model(
    model: Model,
    source: Path,
    target: Path,
    options: ExportOptions,
    names: Sequence[str],
    tracer: Tracer | None = None,
) -> Certificate:
    """Export a detector to a bundle and prove it, as `export` does with a model file; requires `check_options`.

    Args:
        model: the detector; its `digest` identifies it in the bundle.
        source: its file, or another path that names it in messages.
        target: the bundle.
        options: the options; `backbone` is not used.
        names: the runtimes to prove under, from `check_options`.
        tracer: how the detector is traced; None: as its kind is.

    Raises:
        ModelError, InputError, ExportError, OutputError: see `anomedge.errors`.
        ProofFailed: the graphs decide differently from eager Torch.
    """
    assert_quantised(model, options.precisions)
    framing = options.framing(model.geometry)
    check_batch(options, framing)
    pictures = options.pictures or pictures_of(
        options.golden, framing, model.levels, options.normal
    )
    check_colour(pictures, options)
    warn_of_sizes(pictures, options)
    if tracer is None:
        tracer, options = tracer_of(model, framing, options, pictures)
    searched = with_search(model, options)
    with atomic_directory(target, force=options.force) as root:
        half, ranges = _on_half_backbone(searched, pictures, options)
        for precision, graph, names_of_stages in _graphs(
            searched, half, options, tracer
        ):
            stages = [n for n in names_of_stages if n not in SEARCH_STAGES]
            draft = unsigned(_manifest(model, options, stages, []))
            write_graphs(root, graph, draft, precision, options, tracer)
        reference = reference_from_model(model, source, pictures, framing)
        golden = write_golden(root, reference, framing)
        write_manifest(
            root,
            _manifest(model, options, stages, golden)
            | {"ranges": ranges, "search": record_of(searched)},
        )
        return _proven(root, model, reference, ranges, names, options)


def _on_half_backbone(
    model: Model, pictures: Sequence[Picture], options: ExportOptions
) -> tuple[Model, tuple[Range, ...]]:
    """Return the model with float16 networks and their value ranges, if a precision needs them."""
    if not any(
        PRECISIONS.get(name).half_networks for name in options.precisions
    ):
        return model, ()
    framing = options.framing(model.geometry)
    networks = folded_networks(
        model.pipeline, model.geometry, options.fixed_batch
    )
    ranges = preflight(
        model,
        networks,
        [*pictures, *extremes(generated_size(framing))],
        stated_size(framing),
        options.fixed_batch,
    )
    assert_halvable(ranges)
    warn_of_lowering(ranges)
    return halved(model, networks), ranges


def _graphs(
    model: Model, half: Model, options: ExportOptions, tracer: Tracer
) -> Iterator[tuple[str, Any, list[str]]]:
    """Yield graph and stages of each precision; precisions that only edit the graph share one trace."""
    for traced, on_half in ((model, False), (half, True)):
        wanted = [
            p
            for p in options.precisions
            if PRECISIONS.get(p).half_networks is on_half
        ]
        source: Any = None
        for precision in wanted:
            if source is None:
                framing = options.framing(traced.geometry)
                source, stages = tracer.graph(
                    traced, framing, options.fixed_batch, options.opset
                )
            graph, source = (
                (source, None)
                if precision == wanted[-1]
                else (source, copy_of(source))
            )
            set_precision(graph, model, precision)
            yield precision, graph, stages


def _manifest(
    model: Model,
    options: ExportOptions,
    stages: list[str],
    golden: list[Golden],
) -> dict[str, Any]:
    shapes: dict[str, tuple[int, ...]] = {
        "score": (),
        "anomaly_map": (1, *model.geometry.image),
    }
    return {
        "detector": model.pipeline.name,
        "config": model.pipeline.config.model_dump(mode="json"),
        "input": _input(options, model.geometry),
        "outputs": tuple(
            OutputContract(name=name, shape=shapes[name])
            for name in OUTPUTS
            if name in stages
        ),
        "stages": tuple(stages),
        "image": asdict(model.geometry) | {"levels": model.levels},
        "decision": model.decision,
        "tolerances": {
            name: tolerance.model_dump()
            for name, tolerance in TOLERANCES.items()
        },
        "variants": {
            precision: variant_files(options.layouts, precision)
            for precision in options.precisions
        },
        "opset": options.opset,
        "golden": tuple(golden),
        "golden_source": "pictures"
        if options.golden or options.pictures
        else "synthetic",
        "model": model.digest,
        "quantisation": statement(model),
        "tools": tool_versions(),
        "licence": model.card.licence,
    }


def _input(options: ExportOptions, geometry: Geometry) -> InputContract:
    framing = options.framing(geometry)
    if isinstance(framing, OutsideResize):
        height, width = framing.frame
        return InputContract(
            batch=options.batch,
            height=height,
            width=width,
            dtype="float32",
            resize="outside",
        )
    height, width = framing
    return InputContract(batch=options.batch, height=height, width=width)


def _proven(
    root: Path,
    model: Model,
    reference: Reference,
    ranges: tuple[Range, ...],
    names: Sequence[str],
    options: ExportOptions,
) -> Certificate:
    bundle = Bundle.open(root)
    batches = batches_of(bundle, options.batches)
    plans = [
        # The bundle is our own, and the same export gives the same bytes.
        Plan(names, batches, precision, widen=options.widen, seed=0)
        for precision in options.precisions
    ]
    if reference.original is not None:
        golden = golden_outputs(bundle, reference)
        original = replace(
            reference.original,
            golden=golden,
            ranges=ranges if needs_ranges(bundle.manifest) else None,
        )
        reference = replace(reference, original=original)
    certificate = merged([prove(bundle, reference, plan) for plan in plans])
    if not certificate.passed:
        text = failure_text(certificate, "no bundle was published")
        framing = options.framing(model.geometry)
        raise ProofFailed(
            text
            + advice_on_rounding(certificate, model, reference, framing)
            + advice_on_precisions(certificate)
        )
    (root / "certificates").mkdir()
    (root / "certificates" / "host.json").write_bytes(
        canonical_json(certificate.to_json())
    )
    return certificate
