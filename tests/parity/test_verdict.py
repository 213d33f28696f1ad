"""Verdicts: recomputed from the numbers of rows, and failed where something is missing."""

import math

import pytest

from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.records import BUNDLE
from anomedge.parity.verdict import (
    CLAUSES,
    cautions_on,
    composition_at,
    copies_at,
    failures_of_cell,
    failures_of_rows,
    incomplete,
)
from tests.parity.rows import (
    cell,
    certificate,
    check,
    contract,
    counts,
    finding,
    stage,
)

TOLERANCE = TOLERANCES["fp32"]


def failures(cells=(), checks=(), stages=(), findings=()):
    return list(
        failures_of_rows(cells, checks, stages, findings, dict(TOLERANCES))
    )


def missing(cells, checks, stages=()):
    return list(incomplete(cells, checks, stages))


@pytest.mark.parametrize(
    ("changed", "batch_error", "first_words"),
    [
        ({}, None, []),
        ({"score_error": TOLERANCE.score, "map_error": TOLERANCE.map}, TOLERANCE.batch, []),
        ({"score_error": 2e-4}, None, ["score off"]),
        ({"map_error": 2e-4}, None, ["map off"]),
        ({"map_error": None}, None, []),
        ({}, 6e-5, ["batch off"]),
        ({"score_error": -1e-9}, None, ["score off"]),
        ({"score_error": math.nan}, None, ["score off"]),
        ({"map_error": math.inf}, None, ["map off"]),
        ({"flips": ("a",)}, None, ["1 labels"]),
        ({"flips": tuple("abcdefg"), "score_error": 1.0}, None, ["score off", "7 labels"]),
    ],
)  # fmt: skip
def test_failures_of_a_cell(changed, batch_error, first_words):
    lines = failures_of_cell(cell(**changed), batch_error, TOLERANCE)
    assert [" ".join(line.split()[:2]) for line in lines] == first_words


def test_five_flips_are_named():
    (line,) = failures_of_cell(cell(flips=tuple("abcdef")), None, TOLERANCE)
    assert line == "6 labels flipped: a, b, c, d, e"


def test_a_stored_verdict_of_a_cell_cannot_hide_its_numbers():
    assert failures([cell(failures=())]) == []
    (line,) = failures([cell(score_error=1.0, failures=())])
    assert line.startswith("ort batch 1: score off by 1.00e+00")
    assert failures([cell(failures=("x",))]) == ["ort batch 1: x"]


def test_a_larger_batch_has_to_be_compared_with_single_pictures():
    assert failures([cell(batch=2, batch_error=0.0)]) == []
    assert failures([cell(batch=2)]) == [
        "ort batch 2: not compared with single pictures"
    ]


@pytest.mark.parametrize(
    ("changed", "passes"),
    [
        ({}, True),
        ({"passed": False}, False),
        ({"error": 2.0, "tolerance": 3.0}, True),
        ({"error": 3.5, "tolerance": 3.0}, False),
        ({"kind": "stage", "name": "distances"}, False),
        ({"kind": "stage", "name": "distances", "error": 0.0}, True),
        ({"kind": "stage", "name": "distances", "error": 1.0, "tolerance": 9.0}, False),
        ({"kind": "pixels", "name": "preprocessed", "error": math.nan}, False),
    ],
)  # fmt: skip
def test_stages_are_judged_by_this_releases_tolerances(changed, passes):
    assert (failures(checks=[check(**changed)]) == []) == passes


def test_failures_come_in_order_of_what_they_explain():
    lines = failures(
        cells=[cell(flips=("a",))],
        checks=[
            check(passed=False, detail="was not refused"),
            check(runtime=BUNDLE, kind="bundle", name="scale", passed=False, detail="is 1"),
        ],
        stages=[
            stage(error=1.0),
            stage(runtime="ov", precision="fp16", error=None),
        ],
        findings=[finding(passed=False, text="first: distances")],
    )  # fmt: skip
    assert lines == [
        "bundle scale: is 1",
        "ort: first: distances",
        "ov fp16: stage distances exceeds its share",
        "ort batch 1: 1 labels flipped: a",
        "ort contract output score: was not refused",
    ]


@pytest.mark.parametrize(
    ("changed", "passes"),
    [({}, True), ({"effect": 1e-4}, True), ({"effect": 2e-4}, False), ({"passed": False}, False), ({"error": -1.0}, False)],
)  # fmt: skip
def test_a_stage_fails_by_its_error_or_by_its_effect(changed, passes):
    assert (failures(stages=[stage(**changed)]) == []) == passes


def test_a_proof_without_cells_proves_nothing():
    assert missing([], []) == ["nothing was compared: there is no cell"]
    assert missing([cell(pictures=0)], contract()) == [
        "ort batch 1: no picture was compared"
    ]


def test_every_clause_and_stage_has_to_be_checked():
    assert missing([cell()], contract()) == []
    assert missing([cell()], contract()[1:]) == [
        "ort: not checked: output score"
    ]
    assert missing([cell()], contract(), ["distances"]) == [
        "ort: not checked: distances"
    ]
    (line,) = missing([cell(precision="fp16")], contract())
    assert line == f"ort fp16: not checked: {', '.join(CLAUSES[:5])}"


def test_a_detector_without_a_map_needs_no_clause_of_a_map():
    without = [each for each in contract() if "anomaly_map" not in each.name]
    alone = cell(map_error=None, mask_iou=None)
    assert missing([alone], without) == []
    assert missing([alone], contract()) == ["ort batch 1: no map was compared"]


def test_copies_have_to_be_run_at_every_larger_batch():
    copies = check(name=copies_at(8))
    composition = check(name=composition_at(8))
    large = cell(batch=8, batch_error=0.0)
    assert missing([large], [*contract(), copies, composition]) == []
    assert missing([large], contract()) == [
        "ort: not checked: copies at batch 8",
        "ort: not checked: composition at batch 8",
    ]


@pytest.mark.parametrize(
    ("changed", "caution"),
    [
        ({"total": 6, "distinct": 4}, "few pictures: 4 of your own"),
        ({"distinct": 3}, "few pictures: 8 of your own, 5 of them uniform, repeated or nearly equal"),
        ({"total": 2, "distinct": 0}, "few pictures: none of your own"),
        ({"resized": 3}, "3 of 10 pictures were stretched to the frame"),
    ],
)  # fmt: skip
def test_weak_evidence_is_cautioned(changed, caution):
    assert list(cautions_on(counts(**changed))) == [caution]


def test_a_threshold_far_from_every_picture_is_cautioned():
    assert list(cautions_on(counts())) == []
    for nearest, blended, said in (
        (0.3, 20, " (the nearest is 0.3 scales away): only generated blends tested it"),
        (0.3, 0, " (the nearest is 0.3 scales away): a flip could go unseen"),
        (None, 0, ": a flip could go unseen"),
        (float("nan"), 0, " (the nearest is nan scales away): a flip could go unseen"),
    ):  # fmt: skip
        given = counts(total=10 + blended, blended=blended, nearest=nearest)
        assert list(cautions_on(given)) == [
            f"none of your pictures is near the threshold{said}"
        ]


def test_pictures_on_one_side_of_the_threshold_are_cautioned():
    (caution,) = cautions_on(counts(above=0))
    assert caution.startswith("none of the pictures given is above")
    (caution,) = cautions_on(counts(below=0))
    assert caution.startswith("none of the pictures given is below")


@pytest.mark.parametrize(
    ("auroc", "anomalous", "is_cautioned"),
    [
        (0.5, 10, True),
        (0.61, 10, False),
        (0.39, 10, False),
        (0.5, 9, False),
        (0.5, 11, False),
        (0.5, None, False),
        (None, 10, False),
        (math.nan, 10, False),
    ],
)
def test_a_detector_that_separates_nothing_is_cautioned(
    auroc, anomalous, is_cautioned
):
    cells = [cell(), cell(image_auroc=auroc), cell(image_auroc=auroc)]
    pictures = counts(labelled=20, anomalous=anomalous)
    proof = certificate(cells=cells, pictures=pictures)
    said = [c for c in proof.cautions if "separates nothing" in c]
    assert len(said) == is_cautioned
    assert all("AUROC 0.50 of 10 normal, 10 anomalous" in c for c in said)
