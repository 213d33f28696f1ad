"""Prove the layouts of a bundle: every output of a layout's graph under one runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from anomedge.bundle import Bundle
from anomedge.bundle.graph_contract import as_properties
from anomedge.bundle.variants import Variant
from anomedge.errors import BundleError, InputError, RuntimeFailure
from anomedge.images.frames import has_colour
from anomedge.layouts import LAYOUTS, Layout, LayoutOutput
from anomedge.parity.between_levels import check_between_levels
from anomedge.parity.comparison import Comparison
from anomedge.parity.composition import generator_of, shuffled
from anomedge.parity.expected import checks_of_layout, layouts_of
from anomedge.parity.layout_meter import LayoutMeter, check_of
from anomedge.parity.metadata import (
    contract_of,
    faults_of_model_info,
    faults_of_properties,
    faults_of_section,
)
from anomedge.parity.plan import Plan
from anomedge.parity.records import CheckResult
from anomedge.progress import track
from anomedge.runtimes import Session, get, variant_of

__all__ = ["check_layout", "check_layouts"]


def check_layouts(
    bundle: Bundle, comparison: Comparison, plan: Plan, runtime: str
) -> list[CheckResult]:
    """Check every layout that the plan's variant has; a layout that is not installed here fails by name."""
    checks: list[CheckResult] = []
    for name in layouts_of(bundle.manifest, plan.precision):
        try:
            LAYOUTS.get(name)
        except InputError as error:
            checks.append(check_of(runtime, f"{name} layout", str(error)))
        else:
            checks += _check_if_it_runs(bundle, comparison, plan, runtime, name)
    return checks


def _check_if_it_runs(
    bundle: Bundle,
    comparison: Comparison,
    plan: Plan,
    runtime: str,
    name: str,
) -> list[CheckResult]:
    """Check a layout; one whose graph the runtime cannot run fails by name."""
    try:
        return check_layout(bundle, comparison, plan, runtime, name)
    except (BundleError, RuntimeFailure) as error:
        wrong = f"its graph cannot be run: {error}"
        return [check_of(runtime, f"{name} outputs", wrong)]


def check_layout(
    bundle: Bundle,
    comparison: Comparison,
    plan: Plan,
    runtime: str,
    name: str,
) -> list[CheckResult]:
    """Check every picture through the layout's graph, at every batch size.

    The thresholds are the manifest's, which may be part of the graph; local
    thresholds do not apply.

    Raises:
        BundleError: the bundle was not exported with this layout.
        InputError: the layout is not installed here.
    """
    layout = LAYOUTS.get(name)
    variant = bundle.variant(variant_of(plan.precision))
    if variant.find(name) is None:
        raise BundleError(
            f"{bundle.path} has no {name} layout; expected one: export with "
            f"--layout {name}"
        )
    metadata = _check_metadata(bundle, layout, variant, runtime)
    kind, files = get(runtime), variant.with_model(name)
    with kind.from_variant(bundle, files, plan.options(runtime)) as session:
        outputs = _check_outputs(
            bundle, layout, session, comparison, max(plan.batches)
        )
        if not outputs.passed:
            return [outputs, metadata]
        meters = _meters(bundle, layout)
        _measure(session, layout, comparison, meters, plan)
        between = check_between_levels(
            session, layout, comparison, _meters(bundle, layout), plan.seed
        )
    checks = [
        meter.check(session.name, name, comparison.tolerance)
        for meter in meters
    ]
    made = {
        check.name: check for check in (outputs, metadata, between, *checks)
    }
    rows = checks_of_layout(layout, bundle.manifest, comparison.tolerance)
    return [made[row.name] for row in rows]


def _check_metadata(
    bundle: Bundle, layout: type[Layout], variant: Variant, runtime: str
) -> CheckResult:
    """Check the metadata by which programs feed the graph and read its outputs."""
    decision = bundle.manifest.decision
    contract = as_properties(contract_of(bundle, layout))
    faults = faults_of_properties(
        bundle.read(variant.graph(layout.name)),
        layout.properties(decision) | contract,
    )
    ir = variant.find(layout.name, "openvino")
    info = layout.model_info(decision)
    if ir is not None:
        content = bundle.read(ir)
        found = faults_of_model_info(content, info)
        # OpenVINO opens no file with faults.
        weights = bundle.read(ir.removesuffix(".xml") + ".bin")
        faults += found or faults_of_section(content, weights, expected=info)
    return check_of(runtime, f"{layout.name} metadata", "; ".join(faults[:5]))


def _outputs(bundle: Bundle, layout: type[Layout]) -> dict[str, LayoutOutput]:
    return layout.outputs_of(bundle.manifest.has_map)


def _check_outputs(
    bundle: Bundle,
    layout: type[Layout],
    session: Session,
    comparison: Comparison,
    count: int,
) -> CheckResult:
    """Check that the input can hold the pictures; check names, order, types and shapes of the outputs."""
    frames = np.zeros((count, *bundle.manifest.input.frame, 3), dtype=np.uint8)
    feed = layout.feed(frames)
    name = f"{layout.name} outputs"
    if not layout.rounds and any(f.dtype.kind == "f" for f in feed.values()):
        wrong = "takes floats; expected whole grey levels, or a layout with `rounds`"
        return check_of(session.name, name, wrong)
    if wrong := _fault_of_colour(layout, comparison):
        return check_of(session.name, name, wrong)
    outputs = session.run(feed)
    shapes = {
        promised.name: (count, *promised.shape)
        for promised in bundle.manifest.outputs
    }
    expected = {
        name: f"{output.dtype} {shapes[output.quantity]}"
        for name, output in _outputs(bundle, layout).items()
    }
    got = {
        name: f"{array.dtype} {array.shape}" for name, array in outputs.items()
    }
    passed = list(got.items()) == list(expected.items())
    detail = "" if passed else f"got {got}; expected {expected}"
    return check_of(session.name, name, detail)


def _fault_of_colour(layout: type[Layout], comparison: Comparison) -> str:
    """Return a phrase if pictures have colour and the layout has none; they would be compared with other pictures' results."""
    if layout.colour != "grey":
        return ""
    pictures = comparison.reference.pictures
    frames = (picture.frame(comparison.input.frame) for picture in pictures)
    coloured = sum(has_colour(frame) for frame in frames)
    if not coloured:
        return ""
    return f"{coloured} of {len(pictures)} pictures have colour; expected pictures of a monochrome camera"


def _meters(bundle: Bundle, layout: type[Layout]) -> list[LayoutMeter]:
    """Return a meter of every output."""
    return [
        LayoutMeter(name, output, bundle.manifest.decision)
        for name, output in _outputs(bundle, layout).items()
    ]


def _measure(
    session: Session,
    layout: type[Layout],
    comparison: Comparison,
    meters: Sequence[LayoutMeter],
    plan: Plan,
) -> None:
    """Run all pictures at all batch sizes and add the outputs to the meters."""
    reference = comparison.reference
    runs = list(_runs(len(reference.pictures), plan, session.name))
    title = f"{session.name}, layout {layout.name}"
    for places in track(runs, title, total=len(runs)):
        pictures = [reference.pictures[place] for place in places]
        frames = np.stack([p.frame(comparison.input.frame) for p in pictures])
        outputs = session.run(layout.feed(frames))
        expected = reference.outputs.at(places)
        names = [picture.name for picture in pictures]
        for meter in meters:
            values = outputs[meter.name]
            meter.add(values, expected, names, comparison.tolerance)


def _runs(count: int, plan: Plan, runtime: str) -> Iterator[list[int]]:
    """Yield the places of the pictures of each run, beside neighbours that no bundle can know."""
    for batch in plan.batches:
        generator = generator_of(plan.seed, f"layout {runtime} {batch}")
        yield from shuffled(count, batch, generator)
