"""Intervals: seeded, stratified, and as wide as they should be."""

import numpy as np
import pytest

from anomedge.evaluation.bootstrap import percentiles, resampled
from anomedge.evaluation.figures import figures_of_maps, figures_of_scores
from anomedge.evaluation.map_values import MapValues, sketch_of
from anomedge.evaluation.samples import Confusion, MapSample, ScoreSample

LABELS = np.array([False] * 30 + [True] * 20)


def drawn(seed, replicates=120):
    return np.concatenate(list(resampled(LABELS, seed, replicates)))


def test_replicates_keep_the_number_of_each_label():
    weights = drawn(0)
    assert weights.shape == (120, 50)
    assert (weights[:, ~LABELS].sum(axis=1) == 30).all()
    assert (weights[:, LABELS].sum(axis=1) == 20).all()
    assert (weights == drawn(0)).all()
    assert (weights != drawn(1)).any()
    # A picture is drawn once on average, with variance 1 - 1/n.
    assert weights[:, ~LABELS].var() == pytest.approx(29 / 30, abs=0.1)


def test_percentiles_leave_out_undefined_replicates():
    values = np.r_[np.arange(101.0), np.nan]
    assert percentiles(values) == pytest.approx((2.5, 97.5))
    assert percentiles(np.array([np.nan])) is None


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


def map_sample(count=18, size=24):
    generator = np.random.default_rng(5)
    values = MapValues()
    sketches, rows = [], []
    labels = np.arange(count) % 3 == 0
    for label in labels:
        mask = np.zeros((size, size), bool)
        mask[4:9, 4:12] = label
        each = generator.gamma(2, 1, mask.shape) + 2 * mask
        each = (each + generator.normal(0, 0.3)).astype(np.float32)
        values.add(each, mask)
        sketches.append(sketch_of(each, mask, 4.0))
        found = each > 4
        rows.append(
            [
                (~mask).sum(),
                mask.sum(),
                (found & ~mask).sum(),
                (found & mask).sum(),
            ]
        )
    columns = np.array(rows, float).T
    return MapSample(sketches, labels, Confusion(*columns), 4.0, values.curve())


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


def test_grouped_values_of_replicates_hardly_change_a_metric():
    pixels = map_sample()
    whole = pixels.weighted(np.ones((1, 18)))
    assert whole.negatives.sum() == pixels.confusion.normal.sum()
    assert whole.coverage.sum() == pytest.approx(6)
    from anomedge.evaluation.auroc import auroc

    assert float(auroc(whole)[0]) == pytest.approx(
        float(auroc(pixels.curve.counts)), abs=1e-3
    )
    doubled = pixels.weighted(np.full((1, 18), 2.0))
    assert (doubled.positives == 2 * whole.positives).all()


def test_few_pictures_have_figures_without_a_bootstrap():
    places = np.r_[0:10, 30:34]
    figures = figures_of_scores(sample(0).at(places), 0.5, 0, 100)
    assert figures.auroc.low is None
    assert figures.auroc.value > 0
    assert figures.recall.low < figures.recall.value
