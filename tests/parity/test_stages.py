"""Which stage makes an error? Errors are planted into exported graphs, each to be named by the stage that it is in."""

import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.bundle import Bundle
from anomedge.errors import BundleError, InputError
from anomedge.export.proof import reference_from_model
from anomedge.images import Picture, read_folders
from anomedge.parity import Outputs, Plan, Reference, prove
from anomedge.parity.certificate import TOLERANCES, Certificate, merged
from anomedge.parity.golden import read_golden
from anomedge.parity.junit import junit_xml
from anomedge.parity.localise import _Segments, localise
from anomedge.parity.stages import errors_as_they_arrive, off_by, scales_of
from tests.conftest import DETECTORS, FRAME, RUNTIMES
from tests.parity.planting import (
    altered,
    blurred_more,
    both,
    by_half_a_pixel,
    nearest_pixel,
    rebuilt,
    scaled_score,
    signed,
)

TOLERANCE = TOLERANCES["fp32"]
FIRST_LEVEL = {"padim": "features/blocks.1", "patchcore": "features/blocks.2"}
STATISTICS = {"padim": "permute_6", "patchcore": "bank.centre"}


def larger(values):
    return values * 1.01


def shifted(values):
    return values + 0.01


def planted(plant, detector, share=1.0):
    """An edit of a graph, taken a share of the way, and the stage that it is in."""
    return {
        "resize to the nearest pixel": (
            altered("frontend.columns", nearest_pixel, share),
            "preprocessed",
        ),
        "resize by half a pixel": (
            altered("frontend.rows", by_half_a_pixel, share),
            "preprocessed",
        ),
        "first layer scaled": (
            altered("conv_stem", larger, share),
            FIRST_LEVEL[detector],
        ),
        "middle layer scaled": (
            altered("blocks.2.0.conv_exp", larger, share),
            "features/blocks.2",
        ),
        "last level scaled": (
            altered("blocks.3.0.conv_pw.", larger, share),
            "features/blocks.3",
        ),
        "input's mean shifted": (
            altered("pipeline.mean", shifted, share),
            FIRST_LEVEL[detector],
        ),
        "statistics' mean shifted": (
            altered(STATISTICS[detector], shifted, share),
            "distances",
        ),
        "map scaled": (altered("to_map.rows", larger, share), "anomaly_map"),
        "map blurred more": (blurred_more(share), "anomaly_map"),
        "score scaled": (scaled_score(share), "score"),
    }[plant]


PLANTS = (
    "resize to the nearest pixel", "resize by half a pixel", "first layer scaled", "middle layer scaled", "last level scaled",
    "input's mean shifted", "statistics' mean shifted", "map scaled", "map blurred more", "score scaled",
)  # fmt: skip
FIRST_QUICKLY = [
    RUNTIMES[0],
    *(pytest.param(name, marks=pytest.mark.slow) for name in RUNTIMES[1:]),
]
EVERY = pytest.mark.parametrize(
    ("detector", "plant"), list(itertools.product(DETECTORS, PLANTS))
)


def plan(runtime):
    return Plan([runtime], (1,), threads=1)


def looked_into(bundle, runtime):
    rows, finding = localise(
        bundle, read_golden(bundle), plan(runtime), runtime, TOLERANCE
    )
    return {row.name: row for row in rows}, finding


def share_of(row):
    """How much of what is allowed a stage uses up."""
    return max(row.error / row.allowed, row.effect / row.effect_allowed)


def near_the_share(whole, plant, runtime, folder):
    """Edits of any multiple of what the stage may be off, and the stage."""
    small = 1e-2
    edit, stage = planted(plant, whole.manifest.detector, small)
    rows, _ = looked_into(
        rebuilt(whole, folder / "small.anomedge", edit), runtime
    )
    unit = small / share_of(rows[stage])
    return lambda multiple: planted(
        plant, whole.manifest.detector, multiple * unit
    )[0], stage


@EVERY
def test_a_planted_error_is_named_by_its_stage(
    bundle_paths, tmp_path, detector, plant, runtime
):
    edit, stage = planted(plant, detector)
    bundle = rebuilt(
        Bundle.open(bundle_paths[detector]), tmp_path / "planted.anomedge", edit
    )
    rows, finding = looked_into(bundle, runtime)
    assert finding.stage == stage
    assert not finding.passed
    assert f"first to exceed its share: {stage} (error " in finding.text
    assert f"under {runtime}: look at " in finding.text
    assert next(name for name, row in rows.items() if not row.passed) == stage


@EVERY
@pytest.mark.parametrize("runtime", FIRST_QUICKLY)
def test_three_times_the_share_is_named_and_half_of_it_passes(
    bundle_paths, tmp_path, detector, plant, runtime
):
    whole = Bundle.open(bundle_paths[detector])
    edit_of, stage = near_the_share(whole, plant, runtime, tmp_path)
    rows, finding = looked_into(
        rebuilt(whole, tmp_path / "more.anomedge", edit_of(3)), runtime
    )
    assert 2 < share_of(rows[stage]) < 4
    assert finding.stage == stage
    rows, finding = looked_into(
        rebuilt(whole, tmp_path / "less.anomedge", edit_of(0.5)), runtime
    )
    assert 0.4 < share_of(rows[stage]) < 0.9
    assert (finding.stage, finding.passed) == (None, True), finding.text
    assert all(row.passed for row in rows.values())


def test_errors_as_they_arrive_would_blame_a_later_stage(
    bundle_paths, tmp_path, detector, runtime
):
    """Why the graph is cut: the network grows a small error of its first layer until only the map is too far off."""
    whole = Bundle.open(bundle_paths[detector])
    edit_of, stage = near_the_share(
        whole, "first layer scaled", runtime, tmp_path
    )
    bundle = rebuilt(whole, tmp_path / "more.anomedge", edit_of(3))
    with plan(runtime).open(bundle, runtime, stages=True) as session:
        arrived = errors_as_they_arrive(
            bundle, session, read_golden(bundle), bundle.manifest.stages
        )
    assert (
        next(
            name for name, off in arrived.items() if off.error > TOLERANCE.stage
        )
        == "anomaly_map"
    )
    assert looked_into(bundle, runtime)[1].stage == stage


def test_a_whole_bundle_passes_and_its_errors_add_up(bundle, runtime):
    rows, finding = looked_into(bundle, runtime)
    assert list(rows) == list(bundle.manifest.stages)
    assert (finding.stage, finding.passed, finding.text) == (
        None,
        True,
        "every stage is within its share",
    )
    with plan(runtime).open(bundle, runtime, stages=True) as session:
        arrived = errors_as_they_arrive(
            bundle, session, read_golden(bundle), ("anomaly_map", "score")
        )
    effects = {
        row.effect for row in rows.values()
    }  # levels that are judged together have the same one
    assert max(off.error for off in arrived.values()) <= sum(effects) + 1e-6


def test_against_eager_torch(bundle, models, model_paths, pictures, detector):
    given = read_folders([pictures / "test"])[:3]
    reference = reference_from_model(
        models[detector], model_paths[detector], given, FRAME, blended=0
    )
    certificate = prove(bundle, reference, plan(RUNTIMES[0]), stages=True)
    assert certificate.passed, certificate.failures
    assert [row.name for row in certificate.stages] == list(
        bundle.manifest.stages
    )
    assert all(
        row.picture in {picture.name for picture in reference.pictures}
        for row in certificate.stages
    )


def test_levels_are_told_apart_where_the_graph_is_cut_between_them(
    bundle, detector, runtime
):
    """PatchCore taps what the next level reads; PaDiM only some channels of it."""
    rows, _ = looked_into(bundle, runtime)
    effects = [
        row.effect for row in rows.values() if row.name.startswith("features/")
    ]
    assert len(set(effects)) == {"padim": 1, "patchcore": 2}[detector]


def test_of_several_the_first_is_named(
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
    rows, finding = looked_into(bundle, runtime)
    assert finding.stage == "features/blocks.3"
    assert [name for name, row in rows.items() if not row.passed] == [
        "features/blocks.3",
        "anomaly_map",
        "score",
    ]


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("features/blocks.3", np.nan),
        ("distances", np.inf),
        ("anomaly_map", np.nan),
    ],
)
def test_what_is_no_number_is_named(
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
    rows, finding = looked_into(bundle, runtime)
    assert finding.stage == stage
    assert rows[stage].error == np.inf
    assert "error inf" in finding.text
    assert rows[stage].to_json()["error"] is None


def test_only_the_graph_that_ships_is_off(
    bundle_paths, tmp_path, detector, runtime
):
    """As when a runtime fuses what the taps keep apart."""
    whole = Bundle.open(bundle_paths[detector])
    bundle = rebuilt(
        whole, tmp_path / "b.anomedge", both(), shipped=scaled_score()
    )
    rows, finding = looked_into(bundle, runtime)
    assert all(row.passed for row in rows.values())
    assert (finding.stage, finding.passed) == (None, False)
    assert finding.text.startswith(
        "the tapped graph agrees; the one that ships does not (score off by "
    )


def test_no_stage_alone_but_all_together(bundle_paths, tmp_path, runtime):
    whole = Bundle.open(bundle_paths["padim"])
    edits = [
        near_the_share(whole, plant, runtime, tmp_path / plant)[0](0.7)
        for plant in ("map scaled", "score scaled")
    ]
    rows, finding = looked_into(
        rebuilt(whole, tmp_path / "b.anomedge", both(*edits)), runtime
    )
    assert all(row.passed for row in rows.values())
    assert (finding.stage, finding.passed) == (None, False)
    assert finding.text.startswith(
        "no stage exceeds its share by itself; all together"
    )


def test_a_bundle_from_before_is_judged_by_what_arrives(
    bundle_paths, tmp_path, runtime
):
    whole = Bundle.open(bundle_paths["padim"])
    root = rebuilt(
        whole, tmp_path / "b.anomedge", altered("conv_stem", larger)
    ).path
    (root / "segments.onnx").unlink()
    old = signed(whole, root, segments=None)
    rows, finding = looked_into(old, runtime)
    assert finding.stage == "features/blocks.1"
    assert "no segments.onnx" in finding.text
    assert {row.effect for row in rows.values()} == {None}


@pytest.mark.parametrize("other", ["model.onnx", "stages.onnx"])
def test_segments_that_are_another_graph(
    bundle_paths, tmp_path, runtime, other
):
    whole = Bundle.open(bundle_paths["padim"])
    root = rebuilt(whole, tmp_path / "b.anomedge", both()).path
    shutil.copy(root / other, root / "segments.onnx")
    with pytest.raises(BundleError, match="export again"):
        looked_into(signed(whole, root), runtime)


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
    assert [finding.stage for finding in certificate.findings] == [
        "features/blocks.3"
    ]


def test_a_failed_proof_names_its_stage_unasked(
    bundle_paths, tmp_path, detector
):
    whole = Bundle.open(bundle_paths[detector])
    bundle = rebuilt(
        whole,
        tmp_path / "b.anomedge",
        planted("statistics' mean shifted", detector)[0],
    )
    certificate = prove(bundle, read_golden(bundle), Plan(RUNTIMES, (1,)))
    assert [(f.runtime, f.stage) for f in certificate.findings] == [
        (r, "distances") for r in RUNTIMES
    ]
    assert certificate.failures[0].startswith(
        f"{RUNTIMES[0]}: first to exceed its share: distances (error "
    )
    assert Certificate.from_json(certificate.to_json()) == certificate
    assert b'message="first to exceed its share: distances' in junit_xml(
        certificate
    )
    assert len(merged([certificate, certificate]).findings) == 2 * len(RUNTIMES)


def test_a_proof_that_passes_looks_no_further_unasked(bundle):
    reference = read_golden(bundle)
    assert prove(bundle, reference, plan(RUNTIMES[0])).stages == ()
    certificate = prove(bundle, reference, plan(RUNTIMES[0]), stages=True)
    assert certificate.passed
    assert [row.name for row in certificate.stages] == list(
        bundle.manifest.stages
    )


def test_a_failed_proof_does_not_end_in_another_error(bundle_paths, tmp_path):
    whole = Bundle.open(bundle_paths["padim"])
    root = rebuilt(whole, tmp_path / "b.anomedge", scaled_score()).path
    shutil.copy(root / "model.onnx", root / "segments.onnx")
    bundle = signed(whole, root)
    certificate = prove(bundle, read_golden(bundle), plan(RUNTIMES[0]))
    assert "could not be found" in certificate.failures[0]
    assert any("score off by" in line for line in certificate.failures)
    with pytest.raises(BundleError):
        prove(bundle, read_golden(bundle), plan(RUNTIMES[0]), stages=True)


def test_stages_that_nobody_knows_cannot_be_asked_for(bundle):
    reference = read_golden(bundle)
    blind = Reference("another runtime", reference.pictures, reference.outputs)
    with pytest.raises(InputError, match="--model"):
        prove(bundle, blind, plan(RUNTIMES[0]), stages=True)


def test_an_error_is_a_share_of_the_spread_over_all_pictures(bundle):
    nothing = Outputs(np.zeros(2), np.zeros((2, 1, 1, 1)))
    stages = {
        0: {"distances": np.array([[1.0, 3.0]])},
        1: {"distances": np.array([[2.0, 11.0]])},
    }
    scales = scales_of(
        bundle.decision,
        Reference("x", [Picture("a"), Picture("b")], nothing, stages),
    )
    assert scales == {"distances": 10.0}
    known = scales_of(bundle.decision, read_golden(bundle))
    assert (known["preprocessed"], known["score"]) == (
        1.0,
        bundle.decision.scale,
    )
    assert set(bundle.manifest.stages) < set(known)


def test_where_the_largest_error_is():
    values = np.zeros((1, 3, 4, 5))
    other = values.copy()
    other[0, 2, 1, 4] = 0.5
    assert off_by(values, other, 2.0, "a.png") == (
        0.25,
        "a.png",
        "channel 2, y 1, x 4",
    )
    same = np.array([np.nan, np.inf, -np.inf])
    assert off_by(same, same, 1.0, "a.png").error == 0
    assert off_by(same, same[::-1], 1.0, "a.png").error == np.inf
    assert off_by(np.empty(0), np.empty(0), 1.0, "a.png").error == np.inf


def test_effects_are_held_to_the_originals_value_not_to_a_copys():
    segments = object.__new__(_Segments)
    segments.scales = {"score": 1.0}
    segments.reference = SimpleNamespace(
        pictures=[SimpleNamespace(name="a")],
        stages={0: {"score": np.array([1.0])}, 1: {"score": np.array([2e3])}},
    )
    segments.reference.pictures.append(SimpleNamespace(name="b"))
    after, before = {"score": np.array([1e6])}, {"score": np.array([1e6 + 40])}
    assert segments.off_by(0, "score", after, before).error == 40
    assert segments.off_by(1, "score", after, before).error == 0.4
