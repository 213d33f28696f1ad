"""Figures and their intervals: as wide as they should be, exact for rates."""

import numpy as np
import pytest

from anomedge.evaluation.figures import figures_of_maps, figures_of_scores
from anomedge.evaluation.samples import ScoreSample
from tests.evaluation.sampled import LABELS, map_sample


def sample(seed, shift=1.0):
    scores = np.random.default_rng(seed).normal(size=50) + shift * LABELS
    return ScoreSample(scores, LABELS, scores > 0.5)


def test_interval_of_auroc_is_about_as_wide_as_theory():
    """Hanley and McNeil 1982."""
    figure = figures_of_scores(sample(0), 0.5, 0, 1000).auroc
    a = figure.value
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + 19 * (q1 - a * a) + 29 * (q2 - a * a)) / (20 * 30)
    assert figure.low < a < figure.high
    assert figure.high - figure.low == pytest.approx(
        2 * 1.96 * variance**0.5, rel=0.2
    )


def test_intervals_hold_the_true_value_most_of_the_time():
    from statistics import NormalDist

    truth = NormalDist().cdf(1 / 2**0.5)
    figures = [
        figures_of_scores(sample(seed), 0.5, seed, 200).auroc
        for seed in range(60)
    ]
    inside = sum(f.low <= truth <= f.high for f in figures)
    assert 50 <= inside <= 60


def test_rates_of_pictures_are_counts_with_exact_intervals():
    figures = figures_of_scores(sample(0, shift=50.0), 30.0, 0, 100)
    far = figures.false_alarm_rate
    decided = sample(0, shift=50.0).decided
    assert (far.count, far.of) == (decided[~LABELS].sum(), 30)
    assert (figures.recall.count, figures.recall.of) == (20, 20)
    assert figures.recall.low == pytest.approx(0.8316, abs=1e-4)
    assert (figures.normal, figures.anomalous) == (30, 20)


def test_one_class_has_rates_and_no_auroc():
    good = sample(0).at(np.flatnonzero(~LABELS))
    figures = figures_of_scores(good, 0.5, 0, 100)
    assert figures.auroc is figures.f1 is figures.best_f1 is None
    assert figures.recall is None
    assert figures.false_alarm_rate.of == 30


def test_pixel_intervals_come_from_pictures_not_from_pixels():
    pixels = map_sample()
    figures = figures_of_maps(pixels, 0, 400)
    for name in ("auroc", "average_precision", "aupro", "f1", "best_f1"):
        figure = getattr(figures, name)
        assert figure.low < figure.value < figure.high, name
    rate = figures.false_alarm_rate
    assert rate.value == rate.count / rate.of
    # Independent pixels would give a tenth of this width.
    width = (rate.value * (1 - rate.value) / rate.of) ** 0.5 * 2 * 1.96
    assert rate.high - rate.low > 2 * width
    assert figures.regions == 6
    assert figures.auroc_error == 0


def test_few_pictures_have_figures_without_a_bootstrap():
    places = np.r_[0:10, 30:34]
    figures = figures_of_scores(sample(0).at(places), 0.5, 0, 100)
    assert figures.auroc.low is None
    assert figures.auroc.value > 0
    assert figures.recall.low < figures.recall.value
