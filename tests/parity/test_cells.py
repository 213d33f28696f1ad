"""Cells: all pictures at every batch size, compared with the original and with single pictures."""

from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.parity.cells import cells_of
from tests.parity.examples import comparison
from tests.parity.sessions import Session, brightness, reference


def cells(function, batches, *values, labels=None):
    session = Session(function)
    original = reference(*values, labels=labels)
    made = comparison(None, [], reference=original)
    plan = SimpleNamespace(batches=batches, precision="fp32")
    return list(cells_of(session, made, plan)), session


def equal(feed):
    return brightness(feed["frames"])


def test_a_faithful_copy_has_a_cell_without_errors_for_every_batch():
    (one, two), _ = cells(equal, [1, 2], 30, 39, 50)
    assert [one.batch, two.batch] == [1, 2]
    assert one.score_error == two.score_error == one.map_error == 0
    assert (one.batch_error, two.batch_error) == (None, 0)
    assert (one.pictures, one.flips, one.failures) == (3, (), ())
    assert (one.runtime, one.running_on) == ("ort", "CPU")
    # 39 is one grey level from the threshold of 40; the scale is 10.
    assert one.smallest_margin == pytest.approx(0.1)


def test_an_error_of_larger_batches_alone_is_an_error_between_batches():
    def worse_in_twos(feed):
        outputs = equal(feed)
        return {
            name: values + (len(feed["frames"]) - 1)
            for name, values in outputs.items()
        }

    (one, two), _ = cells(worse_in_twos, [1, 2], 30, 50)
    assert one.failures == ()
    assert two.batch_error == pytest.approx(0.1)
    assert any(line.startswith("batch off") for line in two.failures)


def test_without_single_pictures_other_batches_are_compared():
    """A graph of batch 2 sees each picture beside two others."""

    def by_neighbour(feed):
        frames = feed["frames"].astype(np.float32)
        return brightness(frames + 0.1 * np.roll(frames, 1, axis=0))

    (cell,), session = cells(by_neighbour, [2], 30, 40, 50)
    shown = [batch[:, 0, 0, 0].tolist() for batch in session.frames]
    assert shown == [[30, 40], [50, 30], [40, 50], [30, 40]]
    # 40 is shown beside 30 and beside 50: 43 and 45, two tenths of the scale.
    assert cell.batch_error == pytest.approx(0.2)
    (cell,), _ = cells(equal, [2], 30, 40, 50)
    assert cell.batch_error == 0


def test_the_change_of_the_auroc_is_that_of_the_copy():
    labels = [False, False, True, True]
    (cell,), _ = cells(equal, [1], 10, 20, 60, 70, labels=labels)
    assert (cell.image_auroc, cell.image_auroc_change) == (1, 0)

    def reversed_order(feed):
        frames = 255 - feed["frames"]
        return brightness(frames)

    (cell,), _ = cells(reversed_order, [1], 10, 20, 60, 70, labels=labels)
    assert (cell.image_auroc, cell.image_auroc_change) == (0, -1)
    assert len(cell.flips) == 2


def test_without_labels_there_is_no_auroc():
    (cell,), _ = cells(equal, [1], 10, 60)
    assert cell.image_auroc is cell.image_auroc_change is None
    assert cell.pixel_auroc is cell.pixel_auroc_change is None
