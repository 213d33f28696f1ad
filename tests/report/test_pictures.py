"""Pictures of a report: the reasons that choose them, and errors in words."""

from types import SimpleNamespace

import numpy as np

from anomedge.images import Picture
from anomedge.report.pictures import (
    FALSE_ALARM,
    FLIPPED,
    MISS,
    NEAREST,
    WORST,
    in_words,
    select,
)


def test_each_reason_has_its_turn():
    scores = np.array([1.0, 9.0, 6.0, 2.0, 4.9, 5.2])
    known = [False, True, False, True, False, True]
    decision = SimpleNamespace(
        threshold=5.0,
        scale=1.0,
        is_anomalous=lambda values: np.asarray(values) > 5.0,
    )
    pictures = [
        Picture(f"{i}.png", anomalous=flag) for i, flag in enumerate(known)
    ]
    maps = np.zeros((6, 1, 2, 2))
    reference = SimpleNamespace(
        pictures=pictures,
        outputs=SimpleNamespace(score=scores, anomaly_map=maps),
    )
    copy = SimpleNamespace(
        score=scores + np.array([0.5, 0, 0, 0, 0.2, 0]), anomaly_map=maps
    )
    bundle = SimpleNamespace(decision=decision)
    chosen = select(reference, {"copy": copy}, bundle, 6)
    assert chosen == {
        4: [FLIPPED, NEAREST],
        0: [WORST],
        2: [FALSE_ALARM],
        3: [MISS],
        5: [NEAREST],
    }
    assert list(select(reference, {"copy": copy}, bundle, 2)) == [4, 0]
    assert select(reference, {"copy": copy}, bundle, 0) == {}


def test_the_largest_error_is_the_one_farthest_above_what_is_allowed():
    """Of a scale of 1, 1e-3 at 1 is too much and 4e-3 at 2,000 is not."""
    decision = SimpleNamespace(
        threshold=5000.0,
        scale=1.0,
        is_anomalous=lambda values: np.asarray(values) > 5000.0,
    )
    pictures = [Picture(f"{i}.png", anomalous=False) for i in range(2)]
    scores = np.array([1.0, 2000.0])
    for maps, errors in (
        (np.zeros((2, 1, 1, 1)), [1e-3, 4e-3]),
        (scores.reshape(2, 1, 1, 1), [0, 0]),
    ):
        reference = SimpleNamespace(
            pictures=pictures,
            outputs=SimpleNamespace(score=scores, anomaly_map=maps),
        )
        moved = maps + np.reshape([1e-3, 4e-3], maps.shape) * bool(maps.any())
        copy = SimpleNamespace(score=scores + errors, anomaly_map=moved)
        chosen = select(
            reference, {"copy": copy}, SimpleNamespace(decision=decision), 2
        )
        assert [
            place for place, reasons in chosen.items() if WORST in reasons
        ] == [0]


def test_errors_in_words():
    assert in_words(float("nan"), 1e-4) == "NOT A FINITE NUMBER"
    assert "2.0 times MORE than allowed" in in_words(2e-4, 1e-4)
