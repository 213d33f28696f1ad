"""The plan of an import's thresholds, before the model is built."""

import pytest

from anomedge.errors import InputError
from anomedge.interop.anomalib import StoredThresholds
from anomedge.interop.decision import ByRule, Provenance, Stated
from anomedge.interop.planning import Chosen, plan_thresholds
from anomedge.pipelines.decision import Rule
from tests.interop.stand_in import VALIDATED

FILE = Provenance("part.ckpt", inclusive=False)
NOTHING = StoredThresholds()


def plan(stored=VALIDATED, chosen=None, held_back=False):
    return plan_thresholds(
        stored, FILE, chosen or Chosen(), held_back=held_back
    )


def cuts(found):
    return (
        (found.image.value, found.image.imported),
        (found.pixel.value, found.pixel.imported),
    )


def test_the_files_thresholds_are_taken():
    found = plan()
    assert isinstance(found, Stated)
    assert cuts(found) == ((3.0, True), (2.0, True))
    assert found.extremes == (1.0, 9.0)
    assert found.scale > 0
    assert plan(held_back=True).scale is None


def test_numbers_of_the_user_replace_those_of_the_file():
    found = plan(chosen=Chosen(threshold=5.0))
    assert cuts(found) == ((5.0, False), (2.0, True))
    found = plan(chosen=Chosen(pixel_threshold=0.0))
    assert cuts(found) == ((3.0, True), (0.0, False))


def test_a_missing_threshold_is_placed_by_the_default_rule_on_pictures():
    found = plan(NOTHING, Chosen(pixel_threshold=4.0), held_back=True)
    assert found == ByRule(FILE, Rule(), 4.0)


def test_a_rule_counts_before_the_files_thresholds():
    rule = Rule("rate", rate=0.1)
    found = plan(chosen=Chosen(rule=rule), held_back=True)
    assert found == ByRule(FILE, rule, None)


def test_without_any_threshold_the_import_is_refused():
    with pytest.raises(InputError, match=r"part\.ckpt"):
        plan(NOTHING)


def test_one_threshold_serves_both_unless_the_file_forbids_it():
    one = StoredThresholds(image_threshold=3.0)
    assert cuts(plan(one)) == ((3.0, True), (3.0, True))
    maps = StoredThresholds(pixel_threshold=3.0)
    assert cuts(plan(maps)) == ((3.0, True), (3.0, True))
    apart = StoredThresholds(image_threshold=3.0, threshold_matching=False)
    with pytest.raises(InputError, match="does not serve both"):
        plan(apart)


@pytest.mark.parametrize(
    ("values", "extremes"),
    [
        ({"image_min": 1.0, "image_max": 4.0}, (1.0, 4.0)),
        ({"image_min": 4.0, "image_max": 4.0}, None),
        ({"image_min": 1.0}, None),
        ({"image_range": 8.0}, (-1.0, 7.0)),
        ({"image_range": 0.0}, None),
        ({}, None),
    ],
)
def test_extremes_are_those_of_the_display(values, extremes):
    stored = StoredThresholds(image_threshold=3.0, **values)
    assert plan(stored, held_back=True).extremes == extremes


@pytest.mark.parametrize(
    ("chosen", "held_back", "said"),
    [
        (Chosen(threshold=float("nan")), False, "got --threshold nan"),
        (Chosen(threshold=1e39), False, "a number that float32 has"),
        (
            Chosen(pixel_threshold=-float("inf")),
            False,
            "--pixel-threshold -inf",
        ),
        (Chosen(rule=Rule("rate")), False, "without --held-back"),
        (Chosen(3.0, rule=Rule("rate")), True, "expected one of them"),
        (Chosen(rule=Rule("labelled")), True, "got the rule labelled"),
        (Chosen(rule=Rule("rate", rate=2.0)), True, "between 0 and 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    chosen, held_back, said
):
    with pytest.raises(InputError, match=said):
        chosen.check(held_back=held_back)
    with pytest.raises(InputError, match=said):
        plan(chosen=chosen, held_back=held_back)
