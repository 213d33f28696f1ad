"""Locate planted errors: the faulty stage must be named."""

import itertools
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper

from anomedge.bundle import Bundle
from anomedge.parity import Comparison, Plan, prove
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.deviations import FINAL_STAGES
from anomedge.parity.golden import read_golden
from anomedge.parity.stages import accumulated_deviations
from tests.conftest import DETECTORS, RUNTIMES
from tests.parity.faulty_stages import (
    PLANTS,
    STATISTICS,
    larger,
    localised,
    near_the_limit,
    plan_of_one,
    planted,
    share_of_limit,
)
from tests.parity.planting import (
    altered,
    both,
    rebuilt,
    scaled_score,
    signed,
)

TOLERANCE = TOLERANCES["fp32"]
FIRST_QUICKLY = [
    RUNTIMES[0],
    *(pytest.param(name, marks=pytest.mark.slow) for name in RUNTIMES[1:]),
]
EVERY = pytest.mark.parametrize(
    ("detector", "plant"), list(itertools.product(DETECTORS, PLANTS))
)


def comparison_of(bundle, runtime):
    return Comparison.of(bundle, read_golden(bundle), plan_of_one(runtime))


@EVERY
def test_a_planted_error_is_located(
    bundle_paths, tmp_path, detector, plant, runtime
):
    edit, stage = planted(plant, detector)
    bundle = rebuilt(
        Bundle.open(bundle_paths[detector]), tmp_path / "planted.anomedge", edit
    )
    rows, diagnosis = localised(bundle, runtime)
    assert diagnosis.stage == stage
    assert not diagnosis.passed
    assert f"first to exceed its share: {stage} (error " in diagnosis.text
    assert f"under {runtime}: look at " in diagnosis.text
    assert next(name for name, row in rows.items() if not row.passed) == stage


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("runtime", FIRST_QUICKLY)
def test_three_times_the_limit_is_located_and_half_of_it_passes(
    bundle_paths, tmp_path, detector, plant, runtime
):
    whole = Bundle.open(bundle_paths[detector])
    edit_of, stage = near_the_limit(whole, plant, runtime, tmp_path)
    rows, diagnosis = localised(
        rebuilt(whole, tmp_path / "more.anomedge", edit_of(3)), runtime
    )
    assert 2 < share_of_limit(rows[stage]) < 4
    assert diagnosis.stage == stage
    rows, diagnosis = localised(
        rebuilt(whole, tmp_path / "less.anomedge", edit_of(0.5)), runtime
    )
    assert 0.4 < share_of_limit(rows[stage]) < 0.9
    assert (diagnosis.stage, diagnosis.passed) == (None, True), diagnosis.text
    assert all(row.passed for row in rows.values())


def test_accumulated_errors_would_blame_a_later_stage(
    bundle_paths, tmp_path, detector, runtime
):
    """The network amplifies a small error of its first layer; only the map exceeds its limit."""
    whole = Bundle.open(bundle_paths[detector])
    edit_of, stage = near_the_limit(
        whole, "first layer scaled", runtime, tmp_path
    )
    bundle = rebuilt(whole, tmp_path / "more.anomedge", edit_of(3))
    with plan_of_one(runtime).open(bundle, runtime, stages=True) as session:
        accumulated = accumulated_deviations(
            session, comparison_of(bundle, runtime), bundle.manifest.stages
        )
    assert (
        next(
            name
            for name, deviation in accumulated.items()
            if deviation.error > TOLERANCE.stage
        )
        == "anomaly_map"
    )
    assert localised(bundle, runtime)[1].stage == stage


def test_a_correct_bundle_passes_and_its_effects_bound_its_errors(
    bundle, runtime
):
    rows, diagnosis = localised(bundle, runtime)
    assert list(rows) == list(bundle.manifest.stages)
    assert (diagnosis.stage, diagnosis.passed, diagnosis.text) == (
        None,
        True,
        "every stage is within its share",
    )
    with plan_of_one(runtime).open(bundle, runtime, stages=True) as session:
        accumulated = accumulated_deviations(
            session, comparison_of(bundle, runtime), FINAL_STAGES
        )
    effects = {
        row.effect for row in rows.values()
    }  # levels that are judged together have the same one
    assert (
        max(deviation.error for deviation in accumulated.values())
        <= sum(effects) + 1e-6
    )


def test_levels_have_effects_of_their_own_if_the_graph_is_cut_between_them(
    bundle, detector, runtime
):
    """PatchCore taps what the next level reads; PaDiM only some channels of it."""
    rows, _ = localised(bundle, runtime)
    effects = [
        row.effect for row in rows.values() if row.name.startswith("features/")
    ]
    assert len(set(effects)) == {"padim": 1, "patchcore": 2}[detector]


def test_the_first_of_several_faulty_stages_is_named(
    bundle_paths, tmp_path, detector, runtime
):
    edits = [
        planted(plant, detector)[0]
        for plant in ("score scaled", "map blurred more", "last level scaled")
    ]
    bundle = rebuilt(
        Bundle.open(bundle_paths[detector]),
        tmp_path / "b.anomedge",
        both(*edits),
    )
    rows, diagnosis = localised(bundle, runtime)
    assert diagnosis.stage == "features/blocks.3"
    assert [name for name, row in rows.items() if not row.passed] == [
        "features/blocks.3",
        "anomaly_map",
        "score",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("features/blocks.3", np.nan),
        ("distances", np.inf),
        ("anomaly_map", np.nan),
    ],
)
def test_a_stage_that_is_not_finite_is_named(
    bundle_paths, tmp_path, detector, runtime, stage, number
):
    fragment = {
        "features/blocks.3": "blocks.3.0.conv_pw.",
        "distances": STATISTICS[detector],
    }.get(stage, "to_map.rows")

    def spoilt(values):
        return np.where(
            np.arange(values.size).reshape(values.shape) == 0, number, values
        )

    bundle = rebuilt(
        Bundle.open(bundle_paths[detector]),
        tmp_path / "b.anomedge",
        altered(fragment, spoilt),
    )
    rows, diagnosis = localised(bundle, runtime)
    assert diagnosis.stage == stage
    assert rows[stage].error == np.inf
    assert "error inf" in diagnosis.text
    assert rows[stage].to_json()["error"] is None


def test_an_error_of_the_shipped_graph_alone_is_reported(
    bundle_paths, tmp_path, detector, runtime
):
    """As when a runtime fuses what the taps keep apart."""
    whole = Bundle.open(bundle_paths[detector])
    bundle = rebuilt(
        whole, tmp_path / "b.anomedge", both(), shipped=scaled_score()
    )
    rows, diagnosis = localised(bundle, runtime)
    assert all(row.passed for row in rows.values())
    assert (diagnosis.stage, diagnosis.passed) == (None, False)
    assert diagnosis.text.startswith(
        "the tapped graph agrees; the one that ships does not (score off by "
    )


@pytest.mark.slow
def test_a_sum_of_small_errors_is_reported(bundle_paths, tmp_path, runtime):
    whole = Bundle.open(bundle_paths["padim"])
    edits = [
        near_the_limit(whole, plant, runtime, tmp_path / plant)[0](0.7)
        for plant in ("map scaled", "score scaled")
    ]
    rows, diagnosis = localised(
        rebuilt(whole, tmp_path / "b.anomedge", both(*edits)), runtime
    )
    assert all(row.passed for row in rows.values())
    assert (diagnosis.stage, diagnosis.passed) == (None, False)
    assert diagnosis.text.startswith(
        "no stage exceeds its share by itself; all together"
    )


def test_a_bundle_without_segments_is_judged_by_accumulated_errors(
    bundle_paths, tmp_path, runtime
):
    whole = Bundle.open(bundle_paths["padim"])
    root = rebuilt(
        whole, tmp_path / "b.anomedge", altered("conv_stem", larger)
    ).path
    (root / "segments.onnx").unlink()
    old = signed(whole, root, segments=None)
    rows, diagnosis = localised(old, runtime)
    assert diagnosis.stage == "features/blocks.1"
    assert "no segments.onnx" in diagnosis.text
    assert {row.effect for row in rows.values()} == {None}


@pytest.mark.parametrize("other", ["model.onnx", "stages.onnx"])
def test_another_graph_in_place_of_the_segments_names_no_stage(
    bundle_paths, tmp_path, runtime, other
):
    whole = Bundle.open(bundle_paths["padim"])
    root = rebuilt(whole, tmp_path / "b.anomedge", both()).path
    shutil.copy(root / other, root / "segments.onnx")
    rows, diagnosis = localised(signed(whole, root), runtime)
    assert rows == {}
    assert (diagnosis.stage, diagnosis.passed) == (None, False)
    assert diagnosis.text.startswith(
        "segments.onnx does not belong to stages.onnx: "
    )
    assert diagnosis.text.endswith("; no stage is named: export again")


def test_segments_that_blame_another_stage_name_none(
    bundle_paths, tmp_path, runtime
):
    whole = Bundle.open(bundle_paths["padim"])
    planted_in_map, _ = planted("map scaled", "padim")
    root = rebuilt(whole, tmp_path / "b.anomedge", planted_in_map).path
    cut = onnx.load(root / "segments.onnx", load_external_data=False)
    # Errors of the features cancel in the map, so the file shows one of the features alone.
    node = next(n for n in cut.graph.node if "features/blocks.1" in n.output)
    node.output[:] = ["blamed"]
    cut.graph.node.append(
        helper.make_node("Add", ["blamed", "blamed"], ["features/blocks.1"])
    )
    (root / "segments.onnx").write_bytes(cut.SerializeToString())
    bundle = signed(whole, root)
    certificate = prove(
        bundle, read_golden(bundle), plan_of_one(runtime), stages=True
    )
    (diagnosis,) = certificate.findings
    assert diagnosis.stage is None
    assert certificate.stages == ()
    assert any(
        line.startswith("bundle segments: ") for line in certificate.failures
    )


def test_a_fixed_batch(bundle_paths, tmp_path, runtime):
    def by_twos(graph):
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 2

    whole = Bundle.open(bundle_paths["patchcore"])
    manifest = whole.manifest.model_copy(
        update={"input": whole.manifest.input.model_copy(update={"batch": 2})}
    )
    edit = both(by_twos, planted("last level scaled", "patchcore")[0])
    bundle = rebuilt(
        Bundle(whole.path, manifest), tmp_path / "b.anomedge", edit
    )
    certificate = prove(
        bundle, read_golden(bundle), Plan([runtime], (2,)), stages=True
    )
    assert [diagnosis.stage for diagnosis in certificate.findings] == [
        "features/blocks.3"
    ]
