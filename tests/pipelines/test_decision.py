"""Rules of thresholds: the default, numbers of one rule, warnings."""

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.crossfit import Scored, ScoredSample
from anomedge.pipelines.decision import (
    InsensitiveWarning,
    OutlierWarning,
    Rule,
    SmallSampleWarning,
    ThresholdSample,
    place_threshold,
)


def placed(normal, synthetic, rule=None):
    pictures = [
        Picture(f"{i}.png", pixels=np.zeros((1, 1, 3), np.uint8))
        for i in range(len(normal))
    ]
    kinds = tuple("ab"[i % 2] for i in range(len(synthetic)))
    normal, synthetic = np.asarray(normal), np.asarray(synthetic)
    scored = ScoredSample(
        Scored(normal, normal), synthetic=Scored(synthetic, synthetic, kinds)
    )
    sample = ThresholdSample(pictures, [], "test")
    return place_threshold(scored, sample, rule or Rule())


def test_balanced_is_the_default_with_synthetic_defects():
    decision = placed(np.linspace(1, 2, 20), np.linspace(1.9, 4, 20))
    origin = decision.origin
    assert (origin.rule, origin.rate) == ("balanced", 0.1)
    assert origin.sensitivity.caught > 0.9
    assert origin.sensitivity.kinds.keys() == {"a", "b"}


def test_a_rate_that_misses_synthetic_defects_is_warned_of():
    normal, synthetic = np.linspace(1, 2, 100), np.linspace(1.5, 2.5, 20)
    with pytest.warns(
        InsensitiveWarning,
        match=r"misses 50% of 20 synthetic defects .* --rule balanced",
    ):
        placed(normal, synthetic, Rule("rate"))


def test_a_detector_that_does_not_separate_is_said():
    with pytest.warns(
        InsensitiveWarning, match=r"does not separate .* AUROC 0\.58"
    ) as caught:
        placed(np.linspace(1, 2, 40), np.linspace(1.1, 2.1, 40))
    # `export_module` prints it as well, and has no options of a command.
    assert not any("--" in str(each.message) for each in caught)


def test_outliers_are_named():
    normal = np.append(np.linspace(1, 2, 30), 50.0)
    with pytest.warns(OutlierWarning, match=r"look at 30\.png; expected"):
        decision = placed(normal, np.linspace(4, 5, 20))
    assert decision.origin.outliers == ("30.png",)
    assert decision.scale == pytest.approx(1.0)


def test_all_outliers_are_counted_and_the_highest_are_named():
    normal = np.append(np.linspace(1, 2, 60), np.linspace(50, 60, 12))
    with pytest.warns(
        OutlierWarning, match=r"^12 of the 72 .* look at 71\.png, "
    ):
        decision = placed(normal, np.linspace(70, 80, 20))
    assert len(decision.origin.outliers) == 10


def test_a_tail_is_recorded():
    normal = np.random.default_rng(0).normal(10, 1, 60)
    with pytest.warns(SmallSampleWarning, match="by a tail model, to between"):
        decision = placed(normal, np.linspace(40, 50, 20), Rule("rate"))
    assert decision.origin.tail.exceedances == 20


@pytest.mark.parametrize(
    ("name", "rate", "most", "expected"),
    [
        (None, None, None, (None, 0.01, 0.1)),
        (None, 0.2, None, ("rate", 0.2, 0.1)),
        (None, None, 0.3, ("balanced", 0.01, 0.3)),
        ("rate", 0.2, None, ("rate", 0.2, 0.1)),
        ("labelled", None, None, ("labelled", 0.01, 0.1)),
    ],
)
def test_a_number_of_one_rule_selects_it(name, rate, most, expected):
    rule = Rule.named(name, rate, most, None)
    assert (rule.name, rule.rate, rule.most_false_alarms) == expected


@pytest.mark.parametrize(
    ("name", "rate", "most"),
    [
        ("balanced", 0.2, None),
        ("labelled", 0.2, None),
        ("rate", None, 0.2),
        (None, 0.2, 0.2),
        ("fast", None, None),
    ],
)
def test_a_number_of_another_rule_is_refused(name, rate, most):
    with pytest.raises(InputError, match="expected"):
        Rule.named(name, rate, most, None)


def sample_of(normal, anomalous=0):
    pictures = [
        Picture(f"{i}.png", pixels=np.full((1, 1, 3), i, np.uint8))
        for i in range(normal + anomalous)
    ]
    return ThresholdSample(pictures[:normal], pictures[normal:], "test")


def labelled(normal, anomalous, rule=None):
    scored = ScoredSample(
        Scored(np.asarray(normal), np.asarray(normal)),
        Scored(np.asarray(anomalous), np.asarray(anomalous)),
    )
    sample = sample_of(len(normal), len(anomalous))
    return place_threshold(scored, sample, rule or Rule())


def test_labelled_pictures_are_separated_where_they_can_be():
    decision = labelled([1.0, 2.0, 3.0], [5.0, 6.0])
    assert decision.threshold == 4
    origin = decision.origin
    assert (origin.rule, origin.rate) == ("f1", None)
    assert (origin.caught, origin.alarms) == (2, 0)
    assert (decision.minimum, decision.maximum) == (1, 6)


def test_a_target_recall_catches_its_share():
    rule = Rule("labelled", recall=1.0)
    with pytest.warns(InsensitiveWarning, match="catches 3 of 3 .* calls 3 of"):
        decision = labelled([1.0, 2.0, 3.0, 4.0], [1.5, 6.0, 7.0], rule)
    assert 1 < decision.threshold < 1.5
    assert (decision.origin.recall, decision.origin.alarms) == (1.0, 3)


def test_a_detector_without_a_map_has_no_pixel_threshold():
    scores = np.linspace(1, 2, 10)
    scored = ScoredSample(Scored(scores, None))
    with pytest.warns(SmallSampleWarning):
        decision = place_threshold(scored, sample_of(10), Rule())
    assert decision.pixel_threshold is None
    assert decision.threshold > 2


def test_scores_that_are_all_zero_are_refused():
    zeros = np.zeros(12)
    scored = ScoredSample(Scored(zeros, zeros))
    with pytest.raises(InputError, match="got score 0 for all 12 normal"):
        place_threshold(scored, sample_of(12), Rule("rate"))


@pytest.mark.parametrize(
    ("rule", "given", "said"),
    [
        (
            Rule(rate=1.0),
            False,
            "false-alarm rate of 1.0; expected one between",
        ),
        (Rule(most_false_alarms=0), False, "largest false-alarm rate of 0"),
        (Rule("rate"), True, "if and only if --labelled"),
        (Rule("labelled"), False, "if and only if --labelled"),
        (Rule(recall=0.9), False, "target recall without labelled"),
        (Rule(recall=0.0), True, r"a share in \(0, 1\]"),
        (Rule(recall=1.1), True, r"a share in \(0, 1\]"),
    ],
)
def test_rules_that_contradict_the_pictures_are_refused(rule, given, said):
    with pytest.raises(InputError, match=said):
        rule.check(labelled=given)


@pytest.mark.parametrize(
    ("rule", "given"),
    [(Rule(), False), (Rule(), True), (Rule("rate"), False), (Rule("labelled", recall=1.0), True)],
)  # fmt: skip
def test_rules_that_suit_the_pictures_are_taken(rule, given):
    rule.check(labelled=given)


def test_a_balance_needs_ten_normal_pictures():
    Rule("balanced").require(10)
    Rule().require(2)
    with pytest.raises(
        InputError, match=r"got 9 normal pictures .* at least 10"
    ):
        Rule("balanced").require(9)
