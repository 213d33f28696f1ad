"""Samples of scores and of maps, drawn with a seed."""

import numpy as np

from anomedge.evaluation.map_values import MapValues, sketch_of
from anomedge.evaluation.samples import Confusion, MapSample

LABELS = np.array([False] * 30 + [True] * 20)


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
