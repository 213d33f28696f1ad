"""Prove the layouts of a bundle: every output of a layout's graph under one runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle
from anomedge.bundle.metadata import metadata_of_ir, properties_of_onnx
from anomedge.bundle.operators import faults_of_ir, faults_of_onnx
from anomedge.bundle.variants import Variant
from anomedge.errors import BundleError, InputError
from anomedge.layouts import LAYOUTS, Layout, LayoutOutput
from anomedge.parity.comparison import Comparison
from anomedge.parity.expected import (
    allowed_of,
    checks_of_layout,
    layouts_of,
)
from anomedge.parity.outputs import Outputs
from anomedge.parity.plan import Plan
from anomedge.parity.records import CheckResult
from anomedge.parity.tolerances import Tolerance
from anomedge.progress import track
from anomedge.runtimes import Session, get, variant_of
from anomedge.runtimes.ov import model_info_as_read
from anomedge.threshold import Decision, scale_of_each

__all__ = ["check_layout", "check_layouts"]

IR_INPUT_LAYOUT = "[N,C,H,W]"
"""Layout of the input of an IR with metadata of Model API, as OpenVINO writes it."""


def check_layouts(
    bundle: Bundle, comparison: Comparison, plan: Plan, runtime: str
) -> list[CheckResult]:
    """Check every layout that the plan's variant has; a layout that is not installed here fails by name."""
    checks: list[CheckResult] = []
    for name in layouts_of(bundle.manifest, plan.precision):
        try:
            LAYOUTS.get(name)
        except InputError as error:
            checks.append(_check(runtime, f"{name} layout", str(error)))
        else:
            checks += check_layout(bundle, comparison, plan, runtime, name)
    return checks


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
        outputs = _check_outputs(bundle, layout, session, max(plan.batches))
        if not outputs.passed:
            return [outputs, metadata]
        meters = [
            _Meter(output_name, output, bundle.manifest.decision)
            for output_name, output in _outputs(bundle, layout).items()
        ]
        _measure(session, layout, comparison, meters, plan.batches)
    checks = [
        meter.check(session.name, name, comparison.tolerance)
        for meter in meters
    ]
    made = {check.name: check for check in (outputs, metadata, *checks)}
    rows = checks_of_layout(layout, bundle.manifest, comparison.tolerance)
    return [made[row.name] for row in rows]


def _check_metadata(
    bundle: Bundle, layout: type[Layout], variant: Variant, runtime: str
) -> CheckResult:
    """Check the metadata by which programs feed the graph and read its outputs."""
    decision = bundle.manifest.decision
    faults = _faults_of_properties(
        bundle.read(variant.graph(layout.name)), layout.properties(decision)
    )
    ir = variant.find(layout.name, "openvino")
    info = layout.model_info(decision)
    if ir is not None:
        content = bundle.read(ir)
        found = _faults_of_model_info(content, info)
        # OpenVINO opens no file with faults.
        weights = ir.removesuffix(".xml") + ".bin"
        faults += found or _faults_as_read(content, bundle.read(weights), info)
    return _check(runtime, f"{layout.name} metadata", "; ".join(faults[:5]))


def _faults_of_properties(
    content: bytes, expected: Mapping[str, str]
) -> list[str]:
    # A file that is not valid cannot be read further.
    if faults := list(faults_of_onnx(content)):
        return faults
    return _differing(properties_of_onnx(content), expected)


def _faults_of_model_info(
    content: bytes, expected: Mapping[str, str]
) -> list[str]:
    if faults := list(faults_of_ir(content)):
        return faults
    found = metadata_of_ir(content)
    faults = _differing(found.model_info, expected)
    wanted = IR_INPUT_LAYOUT if expected else ""
    if found.input_layout != wanted:
        given = found.input_layout or "none"
        faults.append(f"input layout {given}; expected {wanted or 'none'}")
    return faults


def _faults_as_read(
    content: bytes, weights: bytes, expected: Mapping[str, str]
) -> list[str]:
    """Compare also with the entries that OpenVINO itself finds, where it is installed: Model API reads them there."""
    try:
        found = model_info_as_read(content, weights)
    except ImportError:
        return []
    except RuntimeError as error:
        return [
            f"OpenVINO cannot read it ({' '.join(str(error).split())[:160]})"
        ]
    return [
        f"as OpenVINO reads it: {one}" for one in _differing(found, expected)
    ]


def _differing(
    found: Mapping[str, str], expected: Mapping[str, str]
) -> list[str]:
    """Return a phrase for each entry that is missing, added or of another value."""
    names = {**expected, **found}
    return [
        f"{name[:60]} {found.get(name, 'none')[:60]!r}; expected {expected.get(name, 'none')!r}"
        for name in names
        if found.get(name) != expected.get(name)
    ]


def _outputs(bundle: Bundle, layout: type[Layout]) -> dict[str, LayoutOutput]:
    return layout.outputs_of(bundle.manifest.has_map)


def _check_outputs(
    bundle: Bundle, layout: type[Layout], session: Session, count: int
) -> CheckResult:
    """Check names, order, types and shapes of the outputs."""
    frames = np.zeros((count, *bundle.manifest.input.frame, 3), dtype=np.uint8)
    outputs = session.run(layout.feed(frames))
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
    return _check(session.name, f"{layout.name} outputs", detail)


class _Meter:
    """The differences between one output and the reference, over all runs.

    Attributes:
        error: largest error of a value, in its form's unit.
        flipped: names of the pictures with another label.
        wrong_pixels: number of pixels on the wrong side of the threshold.
    """

    def __init__(
        self, name: str, output: LayoutOutput, decision: Decision
    ) -> None:
        self.name, self.output, self.decision = name, output, decision
        self.error = 0.0
        self.flipped: list[str] = []
        self.wrong_pixels = 0

    def add(
        self,
        values: npt.NDArray[np.generic],
        expected: Outputs,
        names: Sequence[str],
        tolerance: Tolerance,
    ) -> None:
        """Compare one run's values of the output; those of a map that the original has not are wrong."""
        is_score = self.output.quantity == "score"
        raw = expected.score if is_score else expected.anomaly_map
        if raw is None:
            self.error = np.inf
            self.wrong_pixels += values.size
        elif self.output.form != "label":
            self._add_error(values, raw)
        elif is_score:
            flips = self.decision.is_anomalous(raw) != values
            self.flipped += [
                name for name, flip in zip(names, flips, strict=True) if flip
            ]
        else:
            self._count_wrong_pixels(values, raw, tolerance)

    def check(
        self, runtime: str, layout: str, tolerance: Tolerance
    ) -> CheckResult:
        """Return the check of all that was added."""
        name = f"{layout} {self.name}"
        allowed = allowed_of(self.output, self.decision, tolerance)
        if allowed is None:
            wrong = ""
            if self.flipped:
                shown = ", ".join(self.flipped[:5])
                wrong = f"{len(self.flipped)} labels flipped: {shown}"
            if self.wrong_pixels:
                wrong = f"{self.wrong_pixels} pixels on the wrong side"
            return _check(runtime, name, wrong)
        wrong = ""
        if not self.error <= allowed:
            wrong = f"off by {self.error:.2e}; allowed {allowed:.1e}"
        check = _check(runtime, name, wrong)
        return check.model_copy(
            update={"error": self.error, "tolerance": allowed}
        )

    def _add_error(
        self,
        values: npt.NDArray[np.generic],
        raw: npt.NDArray[np.floating],
    ) -> None:
        """Keep the larger error; NaN counts as infinite."""
        decision, is_score = self.decision, self.output.quantity == "score"
        found = values.astype(np.float64)
        if self.output.form == "raw":
            scales = scale_of_each(raw.astype(np.float64), decision.scale)
            error = float((np.abs(found - raw) / scales).max())
        else:
            threshold = (
                decision.threshold if is_score else decision.threshold_of_map
            )
            expected = decision.normalised(raw, threshold)
            error = float(np.abs(found - expected).max())
        self.error = max(self.error, np.inf if np.isnan(error) else error)

    def _count_wrong_pixels(
        self,
        mask: npt.NDArray[np.generic],
        raw_map: npt.NDArray[np.floating],
        tolerance: Tolerance,
    ) -> None:
        """Count the pixels of the mask that differ from the original's.

        Pixels within the tolerance of the threshold are not counted: both
        labels are right there.
        """
        threshold, scale = self.decision.threshold_of_map, self.decision.scale
        band = tolerance.map * float(scale_of_each(threshold, scale))
        distances = np.abs(raw_map.astype(np.float64) - threshold)
        wrong = (mask != self.decision.mask(raw_map)) & (distances > band)
        self.wrong_pixels += int(wrong.sum())


def _measure(
    session: Session,
    layout: type[Layout],
    comparison: Comparison,
    meters: Sequence[_Meter],
    batches: Sequence[int],
) -> None:
    """Run all pictures at all batch sizes and add the outputs to the meters."""
    reference = comparison.reference
    runs = list(_runs(len(reference.pictures), batches))
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


def _runs(count: int, batches: Sequence[int]) -> Iterator[list[int]]:
    """Yield the indices of the pictures of each run."""
    for batch in batches:
        for start in range(0, count, batch):
            yield [(start + i) % count for i in range(batch)]


def _check(runtime: str, name: str, wrong: str) -> CheckResult:
    return CheckResult(
        runtime=runtime,
        kind="contract",
        name=name,
        detail=wrong,
        passed=not wrong,
    )
