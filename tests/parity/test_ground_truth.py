"""Labels, masks and AUROC."""

import numpy as np

from anomedge.images import Picture
from anomedge.parity.ground_truth import GroundTruth, ground_truth_of
from anomedge.resample import Geometry
from tests.parity.examples import outputs


def test_auroc_needs_labels_and_masks():
    unknown = GroundTruth([None, None], [None, None])
    assert unknown.auroc(outputs([1.0, 2.0])) == (None, None)
    known = GroundTruth(
        [False, True],
        [np.zeros((2, 2), bool), np.array([[1, 0], [0, 0]], bool)],
    )
    image, pixel = known.auroc(outputs([1.0, 2.0]))
    assert (image, pixel) == (1.0, 0.5)


def test_labels_of_pictures_without_masks():
    pictures = [
        Picture("a", pixels=np.zeros((4, 4, 3), np.uint8), anomalous=True),
        Picture("b", pixels=np.zeros((4, 4, 3), np.uint8)),
    ]
    truth = ground_truth_of(pictures, Geometry((4, 4)), (4, 4))
    assert truth.anomalous == [True, None]
    assert truth.masks[1] is None
