"""Map values in bounded memory: exact while they fit, then rounded with a known error."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomedge.evaluation.aupro import aupro
from anomedge.evaluation.auroc import auroc, tie_mass
from anomedge.evaluation.map_values import (
    MapValues,
    merged_sketches,
    sketch_of,
)
from anomedge.evaluation.regions import regions_of

SHAPE = (40, 50)


def maps(count=6, offset=0.0, seed=0):
    """Maps with one square of larger values in every second one."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        mask = np.zeros(SHAPE, bool)
        if number % 2:
            mask[5:12, 8 + number : 20 + number] = True
        values = generator.gamma(2.0, 1.0, SHAPE) + 1.5 * mask + offset
        yield values.astype(np.float32), mask


def pooled(**more):
    values, masks = zip(*maps(**more), strict=True)
    return np.stack(values), np.stack(masks)


def collected(most, **more):
    values = MapValues(most)
    for each, mask in maps(**more):
        values.add(each, mask)
    return values


@pytest.mark.parametrize("offset", [0.0, -100.0, 1000.0])
def test_values_that_fit_are_exact(offset):
    values, masks = pooled(offset=offset)
    found = collected(1 << 20, offset=offset)
    curve = found.curve()
    assert found.significant_bits == 24
    assert float(auroc(curve.counts)) == pytest.approx(
        roc_auc_score(masks.ravel(), values.ravel()), abs=1e-12
    )
    known, counts = np.unique(values[~masks], return_counts=True)
    places = curve.counts.negatives > 0
    assert curve.lower[places][::-1].tolist() == known.tolist()
    assert curve.counts.negatives[places][::-1].tolist() == counts.tolist()
    assert curve.lower.tolist() == curve.upper.tolist()
    assert curve.counts.coverage.sum() == pytest.approx(3)


def test_few_different_values_stay_exact_whatever_their_number():
    values, masks = pooled(count=20)
    found = MapValues(2500)
    for each, mask in zip(np.round(values), masks, strict=True):
        found.add(each, mask)
    assert found.significant_bits == 24
    assert float(auroc(found.curve().counts)) == pytest.approx(
        roc_auc_score(masks.ravel(), np.round(values).ravel()), abs=1e-12
    )


@pytest.mark.parametrize("most", [5000, 1000, 300])
def test_more_values_are_rounded_within_the_stated_error(most):
    values, masks = pooled()
    found = collected(most)
    curve = found.curve()
    assert found.significant_bits < 24
    assert curve.lower.size <= most + 300
    known = roc_auc_score(masks.ravel(), values.ravel())
    bound = float(tie_mass(curve.counts)) / 2
    error = abs(float(auroc(curve.counts)) - known)
    assert 0 < error <= bound + 1e-12
    rounding = (curve.upper - curve.lower) / np.abs(curve.lower)
    assert rounding.max() <= 2.0 ** (1 - found.significant_bits)
    exact = float(aupro(collected(1 << 20).curve().counts))
    assert float(aupro(curve.counts)) == pytest.approx(exact, abs=0.02)


def test_both_zeros_are_one_value_and_negative_values_are_in_order():
    values = MapValues()
    row = np.array([[-2.0, -0.0, 0.0, -3.5, 1.0]], np.float32)
    values.add(row, np.zeros((1, 5), bool))
    curve = values.curve()
    assert curve.lower.tolist() == [1.0, 0.0, -2.0, -3.5]
    assert curve.counts.negatives.tolist() == [1, 2, 1, 1]


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_sketches_are_fine_near_the_threshold(offset):
    values, masks = pooled(offset=offset)
    threshold = offset + 2.5
    sketches = [sketch_of(v, m, threshold) for v, m in maps(offset=offset)]
    curve = merged_sketches(sketches, threshold)
    known = roc_auc_score(masks.ravel(), values.ravel())
    assert float(auroc(curve.counts)) == pytest.approx(known, abs=1e-3)
    above = curve.counts.negatives[curve.lower >= threshold].sum()
    assert above == (values[~masks] > threshold).sum()
    assert curve.counts.coverage.sum() == pytest.approx(
        sum(regions_of(mask).count for mask in masks), rel=1e-5
    )


@pytest.mark.parametrize("anomalous", [False, True])
def test_maps_of_one_class_have_a_curve(anomalous):
    """Masks that fill the map leave no normal pixel."""
    values = MapValues()
    values.add(np.ones((3, 4), np.float32), np.full((3, 4), anomalous))
    counts = values.curve().counts
    found = (counts.negatives.sum(), counts.positives.sum())
    assert found == ((0, 12) if anomalous else (12, 0))
