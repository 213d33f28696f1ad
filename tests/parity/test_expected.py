"""The rows that a proof writes: named in one place, for the proof and for readers of certificates."""

from types import SimpleNamespace

import pytest

from anomedge.layouts import LAYOUTS
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.expected import (
    allowed_of,
    bundle_checks,
    checks_of_bundle,
    checks_of_layout,
    checks_of_runtime,
    clauses,
    graphs_of,
    kind_of_row,
)
from anomedge.parity.masks import CHECK, allowed_near
from anomedge.parity.scores import SCORES, allowed_typical
from anomedge.parity.verdict import CLAUSES
from tests.parity.examples import DECISION

TOLERANCE = TOLERANCES["fp32"]


class Variant:
    def __init__(self, *layouts):
        self.names = layouts

    def layouts(self):
        return self.names

    def find(self, name):
        return f"{name}.onnx" if name != "alone" else None

    def files(self):
        return ("model.onnx", "stages.onnx", "openvino/model.xml")


def manifest(*layouts, has_map=True, golden=("a",), files=(), ranges=()):
    return SimpleNamespace(
        search=None,
        variants={"fp32": Variant(*layouts)},
        has_map=has_map,
        stages=("preprocessed", "score"),
        decision=DECISION,
        golden=golden,
        files={name: SimpleNamespace(sha256=f"of {name}") for name in files},
        ranges=ranges,
    )


def names(reference="eager torch", batches=(1,), **more):
    rows = checks_of_runtime(
        manifest(*more.pop("layouts", ()), **more),
        "fp32",
        batches,
        reference,
        TOLERANCE,
    )
    return [row.name for row in rows]


def test_the_bundle_is_checked_against_a_model_or_by_itself():
    assert "scale" in bundle_checks(model=False, ranges=False)
    with_model = bundle_checks(model=True, ranges=True)
    assert with_model[-2:] == ("golden statements", "ranges")
    assert {"decision", "golden frames", "segments"} <= {*with_model}
    rows = checks_of_bundle(manifest(ranges=("a",)), "eager torch")
    assert [row.name for row in rows] == [*with_model]
    assert {row.kind for row in rows} == {"bundle"}
    assert {*with_model} - of_bundle("eager torch", golden=()) == {
        "golden frames",
        "golden statements",
        "ranges",
    }
    own = {"tolerances", "graphs", "operators", "scale", "stages"}
    files = {"interfaces", "opset", "weights", "segments"}
    assert of_bundle("onnxruntime (runtimes only)") == own | files
    assert of_bundle("golden frames") == {*own, *files, "golden statements"}


def of_bundle(reference, **more):
    return {row.name for row in checks_of_bundle(manifest(**more), reference)}


def test_a_detector_without_a_map_has_no_check_of_it():
    assert CHECK not in names(has_map=False)
    assert clauses(True) == CLAUSES
    assert set(CLAUSES) - set(clauses(False)) == {"output anomaly_map"}


def test_copies_and_stages_follow_the_contract():
    more = ["preprocessed", "score"]
    assert names("golden frames", (1, 2, 8)) == [
        *CLAUSES,
        "copies at batch 2", "composition at batch 2",
        "copies at batch 8", "composition at batch 8",
        CHECK, SCORES, *more,
    ]  # fmt: skip
    assert names() == [*CLAUSES, CHECK, SCORES, *more, "rounded"]
    stored = names("golden frames", files=["golden/000/rounded.npy"])
    assert stored[-1] == "rounded"
    assert names("onnxruntime (runtimes only)") == [*CLAUSES, CHECK, SCORES]


def test_stages_have_tolerances_of_this_release():
    rows = checks_of_runtime(manifest(), "fp32", (1,), "eager torch", TOLERANCE)
    allowed = {row.name: row.allowed for row in rows if row.allowed is not None}
    assert allowed == {
        CHECK: allowed_near(TOLERANCE),
        SCORES: allowed_typical("fp32", TOLERANCE),
        **{n: TOLERANCE.at(n) for n in ("preprocessed", "score", "rounded")},
    }
    assert kind_of_row("rounded") == "pixels"
    assert kind_of_row("score") == "stage"


def test_layouts_are_checked_by_every_output():
    rows = checks_of_layout(LAYOUTS.get("anomalib"), manifest(), TOLERANCE)
    assert [row.name for row in rows[:2]] == [
        "anomalib outputs",
        "anomalib metadata",
    ]
    numbers = [row.allowed is not None for row in rows[2:]]
    assert numbers == sorted(numbers) and True in numbers and False in numbers
    assert names(layouts=["anomalib", "alone"])[-len(rows) :] == [
        row.name for row in rows
    ]
    assert names(layouts=["martian"])[-1] == "martian layout"


@pytest.mark.parametrize(
    ("form", "allowed"),
    [("label", None), ("raw", 1e-4), ("normalised", 5e-5)],
)
def test_numbers_of_a_layout_have_limits_in_their_own_unit(form, allowed):
    output = SimpleNamespace(form=form, quantity="score")
    found = allowed_of(output, DECISION, TOLERANCE)
    assert found == (allowed and pytest.approx(allowed, rel=0.02))


def test_graphs_of_a_precision_have_their_weights():
    files = ["model.onnx", "model.onnx.data", "openvino/model.bin", "other"]
    assert graphs_of(manifest(files=files), "tf32") == {
        name: f"of {name}" for name in files[:3]
    }
