"""Thresholds in force, their shift, and their origin."""

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.interop.anomalib import StoredThresholds, Taken
from anomedge.interop.decision import (
    SHIFT,
    HeldBack,
    Provenance,
    UnsuitableThresholdWarning,
)
from anomedge.interop.planning import Chosen, plan_thresholds
from anomedge.pipelines.crossfit import Scored, ScoredSample
from anomedge.pipelines.decision import Rule, ThresholdSample
from anomedge.threshold import Decision, scale_of_each, spread
from tests.interop.stand_in import VALIDATED

NAME = "part.ckpt (anomalib 2.7)"
SCORES = np.array([1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 2.9, 3.0])


def held_back(scores=SCORES, synthetic=()):
    scores = np.asarray(scores, dtype=float)
    pictures = [
        Picture(f"{i}.png", pixels=np.full((4, 4, 3), i, np.uint8))
        for i in range(scores.size)
    ]
    defects = np.asarray(synthetic, dtype=float)
    sample = ScoredSample(
        Scored(scores, scores / 2),
        synthetic=Scored(defects, defects, ("scratch",) * defects.size),
    )
    return HeldBack(ThresholdSample(pictures, [], "held back"), sample)


def decided(
    stored=VALIDATED, chosen=None, held=None, *, inclusive=False, has_map=True
):
    taken = Taken()
    plan = plan_thresholds(
        stored,
        Provenance(NAME, inclusive),
        chosen or Chosen(),
        held_back=held is not None,
    )
    decision = plan.decision(held, taken, has_map=has_map)
    return decision, [str(line) for line in taken]


def test_the_files_thresholds_are_raised_by_a_share_of_the_scale():
    decision, lines = decided()
    assert decision.scale == pytest.approx(0.05 * 3)
    assert decision.threshold == pytest.approx(3 + SHIFT * decision.scale)
    assert decision.pixel_threshold == pytest.approx(2 + SHIFT * decision.scale)
    assert (decision.minimum, decision.maximum) == (1.0, 9.0)
    origin = decision.origin
    assert (origin.rule, origin.normal, origin.source) == (
        "imported",
        0,
        "none held back at the import",
    )
    assert origin.shift == pytest.approx(SHIFT * decision.scale)
    assert origin.rule_in_words == f"imported from {NAME}, raised by 3e-05"
    assert (
        origin.sample_in_words == "no pictures (none held back at the import)"
    )
    assert "5 % of the threshold" in origin.scale_in_words
    assert "image threshold: 3 (from the file)" in lines
    assert any("raised by 0.0002 of the scale" in line for line in lines)


def test_a_score_equal_to_the_threshold_keeps_its_label_within_tolerance():
    """anomalib 2 calls it normal, anomalib 1 anomalous."""
    later, _ = decided()
    first, lines = decided(inclusive=True)
    error = 1e-4 * float(scale_of_each(3.0, later.scale))
    around = np.array([3.0 - error, 3.0, 3.0 + error])
    assert later.is_anomalous(around).tolist() == [False] * 3
    assert first.is_anomalous(around).tolist() == [True] * 3
    assert "lowered by" in first.origin.rule_in_words
    assert any("lowered by 0.0002" in line for line in lines)


def test_the_shift_refers_to_the_scale_at_the_threshold():
    """Far above the normal scores, tolerances are shares of 5 % of the score."""
    held = held_back([0.01, 0.02, 0.03])
    decision, _ = decided(held=held)
    assert decision.scale == pytest.approx(0.02)
    assert decision.threshold == pytest.approx(3 + SHIFT * 0.15)


def test_held_back_pictures_give_the_scale_and_are_counted():
    decision, lines = decided(held=held_back())
    assert decision.scale == spread(SCORES)
    origin = decision.origin
    assert (origin.rule, origin.normal) == ("imported", 10)
    assert origin.scale_in_words == "the spread of normal scores"
    assert origin.sample_in_words == "10 normal pictures (held back)"
    assert origin.margin == pytest.approx(origin.shift)
    assert "held-back pictures above the threshold: 0 of 10 (computed)" in lines


def test_pictures_that_score_as_the_files_threshold_are_listed_apart():
    shift = SHIFT * 2
    scores = [1.0, 2.0, 3.0 - shift / 2, 3.0 + shift / 2, 3.0 + 2 * shift]
    with pytest.warns(UnsuitableThresholdWarning, match=r"labels 1 of 5 .*"):
        decision, lines = decided(held=held_back(scores))
    assert decision.origin.ties == ("2.png", "3.png")
    assert any(line.startswith("ties: 2 held-back") for line in lines)
    assert "held-back pictures above the threshold: 1 of 5 (computed)" in lines


def test_synthetic_defects_are_measured_at_the_imported_threshold():
    held = held_back(synthetic=[2.0, 4.0, 5.0, 6.0])
    with pytest.warns(UnsuitableThresholdWarning, match="catches 75% of"):
        decision, _ = decided(held=held)
    measured = decision.origin.sensitivity
    assert (measured.defects, measured.caught) == (4, 0.75)


def test_a_number_of_the_user_is_not_moved():
    decision, lines = decided(chosen=Chosen(threshold=4.0))
    assert decision.threshold == 4.0
    assert decision.pixel_threshold > 2.0
    assert decision.origin.rule_in_words == f"given at the import of {NAME}"
    assert (decision.origin.shift, decision.origin.ties) == (None, ())
    assert "threshold of scores: 4 (from an option)" in lines


def test_a_threshold_of_maps_alone_may_be_given():
    decision, _ = decided(chosen=Chosen(pixel_threshold=1.5))
    assert decision.pixel_threshold == 1.5
    assert decision.origin.rule == "imported"


def test_one_number_serves_scores_and_maps_of_a_file_without_thresholds():
    decision, _ = decided(StoredThresholds(), Chosen(threshold=4.0))
    assert (decision.threshold, decision.pixel_threshold) == (4.0, 4.0)
    assert (decision.minimum, decision.maximum) == (0.0, 8.0)


def test_a_file_without_thresholds_is_refused_before_it_is_built():
    with pytest.raises(
        InputError, match=r"part.ckpt .* --held-back, or .* --thr"
    ):
        decided(StoredThresholds(image_min=1.0, image_max=2.0))


def test_held_back_pictures_place_missing_thresholds_by_the_rule_of_a_fit():
    held = held_back(synthetic=[4.0, 5.0, 6.0])
    decision, lines = decided(StoredThresholds(), held=held)
    assert decision.origin.rule == "balanced"
    assert decision.origin.imported_from == NAME
    assert 2.9 < decision.threshold < 4.0
    assert any("best balanced accuracy" in line for line in lines)


def test_a_rule_replaces_the_files_thresholds():
    chosen = Chosen(rule=Rule("rate", rate=0.2), pixel_threshold=7.0)
    decision, _ = decided(chosen=chosen, held=held_back())
    assert decision.origin.rule == "false-alarm-rate"
    assert decision.threshold < 3.0
    assert decision.pixel_threshold == 7.0


@pytest.mark.parametrize(
    ("chosen", "held", "said"),
    [
        (Chosen(rule=Rule("rate")), None, "without --held-back"),
        (Chosen(3.0, rule=Rule("rate")), held_back(), "expected one of them"),
        (Chosen(rule=Rule("labelled")), held_back(), "got the rule labelled"),
        (Chosen(threshold=float("nan")), None, "got --threshold nan"),
        (Chosen(pixel_threshold=float("inf")), None, "--pixel-threshold inf"),
    ],
)
def test_options_that_contradict_each_other_are_refused(chosen, held, said):
    with pytest.raises(InputError, match=said):
        decided(chosen=chosen, held=held)


def test_extremes_that_do_not_rise_are_not_shown():
    stored = StoredThresholds(image_threshold=3.0, image_min=3.0, image_max=3.0)
    decision, lines = decided(stored)
    assert (decision.minimum, decision.maximum) == pytest.approx(
        (0, 6), abs=1e-3
    )
    assert any(line.startswith("display range") for line in lines)


def test_display_is_anomalibs_normalisation():
    decision, _ = decided()
    scores = np.array([0.0, 1.0, 3.0, 5.0, 20.0])
    wanted = np.clip((scores - 3.0) / (9.0 - 1.0) + 0.5, 0, 1)
    np.testing.assert_allclose(decision.normalised(scores), wanted, atol=1e-5)


def test_origins_survive_a_file_and_older_ones_keep_their_fields():
    decision, _ = decided(held=held_back())
    content = decision.model_dump(mode="json")
    assert Decision(**content) == decision
    fitted, _ = decided(
        StoredThresholds(), held=held_back(synthetic=[4.0, 5.0])
    )
    dumped = fitted.model_dump(mode="json")["origin"]
    assert "shift" not in dumped
    assert "ties" not in dumped


@pytest.mark.parametrize("stored", [VALIDATED, StoredThresholds()])
def test_a_detector_without_a_map_has_no_threshold_of_maps(stored):
    held = held_back(synthetic=[4.0, 5.0])
    chosen = Chosen(pixel_threshold=1.0)
    scored = ScoredSample(
        Scored(held.scored.normal.scores, None),
        synthetic=Scored(np.array([4.0, 5.0]), None, ("scratch",) * 2),
    )
    held = HeldBack(held.sample, scored)
    decision, lines = decided(stored, chosen, held, has_map=False)
    assert not decision.has_map
    assert not [line for line in lines if line.startswith("threshold of maps")]


def test_the_file_may_forbid_one_threshold_for_both():
    stored = StoredThresholds(image_threshold=3.0, threshold_matching=False)
    with pytest.raises(InputError, match="no threshold of its maps"):
        decided(stored)
    decision, _ = decided(stored, Chosen(pixel_threshold=1.0))
    assert decision.pixel_threshold == 1.0
    only = StoredThresholds(pixel_threshold=3.0, threshold_matching=False)
    with pytest.raises(InputError, match="no threshold of its scores"):
        decided(only)


def test_an_exported_graph_has_the_width_of_the_display_alone():
    stored = StoredThresholds(
        image_threshold=3.0, image_range=8.0, image_sensitivity=0.75
    )
    decision, _ = decided(stored)
    assert (decision.minimum, decision.maximum) == (-1.0, 7.0)
    assert decision.threshold == pytest.approx(3.0 - 2.0, abs=1e-3)
