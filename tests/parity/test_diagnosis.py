"""The first faulty stage, in words."""

import pytest

from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.deviations import Deviation
from anomedge.parity.diagnosis import Accumulated, diagnose, output_limits
from tests.parity.rows import stage

TOLERANCE = TOLERANCES["fp32"]


def accumulated(tapped=0.0, shipped=0.0, **more):
    return Accumulated(
        {"score": Deviation(tapped)} | more, {"score": Deviation(shipped)}
    )


def fine(name, **changed):
    return stage(name, **({"effect": 1e-6, "effect_allowed": 1e-4} | changed))


def faulty(name, **changed):
    return fine(name, **({"error": 1e-2, "passed": False} | changed))


def test_without_a_fault_there_are_no_words():
    rows = [fine("features/a"), fine("score")]
    assert diagnose(rows, accumulated(), TOLERANCE) == (None, "")


def test_the_first_faulty_stage_is_named_with_advice():
    rows = [
        fine("preprocessed"),
        faulty("distances", effect=0.5, where="channel 1"),
        faulty("score"),
        fine("anomaly_map"),
    ]
    name, text = diagnose(rows, accumulated(tapped=1.0), TOLERANCE)
    assert name == "distances"
    assert text == (
        "first to exceed its share: distances (error 1.00e-02, allowed 1e-04, "
        "map or score off by 5.00e-01 through it, allowed 1e-04; worst in a.png at channel 1) "
        "under ort: look at the stored statistics (mean, whitening, bank) and products in half precision"
    )


def test_a_detector_without_a_map_has_its_score_off_alone():
    _, text = diagnose([faulty("score")], accumulated(), TOLERANCE)
    assert ", score off by 1.00e-06 through it" in text


def test_an_unknown_stage_has_general_advice():
    _, text = diagnose([faulty("flow/1")], accumulated(), TOLERANCE)
    assert text.endswith("look at its weights and its precision")


def test_an_error_that_grew_is_shown_where_it_is_large():
    rows = [
        faulty("features/a", error=1e-6),
        fine("features/b"),
        faulty("features/c", error=0.25),
        faulty("score", error=9.0),
    ]
    _, text = diagnose(rows, accumulated(), TOLERANCE)
    assert "grown to 2.50e-01 at features/c;" in text


def test_without_segments_the_error_may_be_inherited():
    rows = [faulty("distances", effect=None, effect_allowed=None)]
    _, text = diagnose(rows, accumulated(), TOLERANCE)
    assert text.endswith("may have inherited the error: export again")


def test_small_errors_of_all_stages_may_exceed_together():
    rows = [fine("distances", effect=8e-5), fine("score", effect=7e-5)]
    name, text = diagnose(rows, accumulated(tapped=1.5e-4), TOLERANCE)
    assert name is None
    assert text == (
        "no stage exceeds its share by itself; all together score off by "
        "1.50e-04, most of it through distances (8.00e-05)"
    )


def test_a_graph_that_ships_may_differ_from_the_tapped_one():
    name, text = diagnose([], accumulated(shipped=1.0), TOLERANCE)
    assert name is None
    assert text.startswith("the tapped graph agrees; the one that ships does not (score off by 1.00e+00)")  # fmt: skip


def test_a_number_that_is_not_finite_is_an_excess():
    worst = accumulated(anomaly_map=Deviation(float("nan")))
    _, text = diagnose([], worst, TOLERANCE)
    assert text.endswith("all together map off by nan")


@pytest.mark.parametrize(
    ("stages", "limits"),
    [
        ({"score", "distances"}, {"score": 1e-4}),
        ({"score", "anomaly_map"}, {"anomaly_map": 1e-4, "score": 1e-4}),
        (set(), {}),
    ],
)
def test_limits_are_of_the_outputs_alone(stages, limits):
    assert output_limits(TOLERANCE, stages) == pytest.approx(limits)
