"""Pictures given are counted around the threshold; those that a proof makes do not stand for them."""

from dataclasses import replace

import pytest

from anomedge.parity.counting import count_pictures
from anomedge.parity.reference import GOLDEN
from anomedge.parity.subject import FrameDigest
from tests.parity.examples import DECISION, comparison, outputs

NAMES = ["a", "b", "c", "blended/a+c", "extreme/white", "level/a+c 0"]
SCORES = outputs([10.0, 20.0, 45.0, 40.1, 39.0, 60.0])
FRAMES = [FrameDigest(str(i), uniform=False) for i in range(len(NAMES))]


def counted(source="eager torch", names=NAMES, **fields):
    made = comparison(SCORES.at(slice(len(names))), names, **fields)
    reference = replace(made.reference, source=source)
    return count_pictures(
        replace(made, reference=reference), FRAMES[: len(names)], 0
    )


def test_the_users_pictures_are_counted_and_not_the_proofs():
    found = counted()
    assert (found.above, found.below) == (1, 2)
    assert found.nearest == pytest.approx(0.5)
    assert (found.own, found.blended, found.levels, found.extreme) == (3, 1, 1, 1)  # fmt: skip


def test_blends_among_golden_frames_are_given():
    found = counted(GOLDEN)
    assert (found.above, found.below) == (2, 2)
    assert found.nearest == pytest.approx(0.01, rel=1e-3)


def test_the_threshold_with_the_weakest_evidence_counts():
    local = DECISION.model_copy(update={"threshold": 44.9})
    assert counted(decision=local, exported_decision=DECISION).nearest == pytest.approx(0.5)  # fmt: skip
    local = DECISION.model_copy(update={"threshold": 50.0})
    found = counted(decision=local, exported_decision=DECISION)
    assert (found.above, found.below) == (0, 2)


def test_without_pictures_nothing_is_near():
    found = counted(names=[])
    assert (found.nearest, found.above, found.below) == (None, 0, 0)
