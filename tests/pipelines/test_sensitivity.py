"""Synthetic defects: their plan, their batches, and the shares above a threshold."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import roc_auc_score

from anomedge.images import Picture
from anomedge.pipelines.sensitivity import (
    PlantedBatches,
    plan_defects,
    sensitivity,
)
from anomedge.pipelines.synthetic import SYNTHETIC_DEFECTS
from anomedge.resample import Geometry
from tests.pipelines.synthetic.noise import image_of
from tests.threshold_rules.samples import few


def test_plans_are_bounded_and_hold_all_kinds():
    assert plan_defects(9, 0) == []
    for count in (10, 23, 150):
        planned = plan_defects(count, 0)
        assert len(planned) == min(100, 5 * count)
        assert {d.kind for d in planned} == set(SYNTHETIC_DEFECTS.names())
        assert len({(d.picture, d.kind) for d in planned}) == len(planned)
        assert planned == plan_defects(count, 0)


def test_planted_pictures_come_in_batches():
    frames = [np.uint8(255 * image_of(i)) for i in range(12)]
    pictures = [Picture(str(i), pixels=f) for i, f in enumerate(frames)]
    planned = plan_defects(12, 0)[:5]
    batches = PlantedBatches(pictures, planned, Geometry((32, 40)), 2)
    assert [tuple(x.shape) for x in batches] == [(2, 3, 32, 40)] * 2 + [
        (1, 3, 32, 40)
    ]


@given(few, few)
def test_sensitivity_counts(normal, defective):
    good, bad = np.array(normal), np.array(defective)
    measured = sensitivity(good, bad, ["a"] * len(bad), 20.5)
    labels = [0] * len(good) + [1] * len(bad)
    auroc = roc_auc_score(labels, np.concatenate([good, bad]))
    assert measured.auroc == pytest.approx(auroc)
    assert measured.caught == measured.kinds["a"] == (bad > 20.5).mean()
    rates = [row.false_alarms for row in measured.rows]
    assert rates == sorted(rates)
    assert rates[0] == 0
