"""Pictures that are like an earlier one."""

import numpy as np
import pytest

from anomedge.parity.likeness import Likeness

PICTURE = np.random.default_rng(0).integers(0, 250, (300, 200, 3), np.uint8)


def repeated(*pictures):
    seen = Likeness()
    return [
        seen.is_repeated(str(number), picture)
        for number, picture in enumerate(pictures)
    ]


def changed(rows, by, columns=200):
    other = PICTURE.copy()
    other[:rows, :columns] += np.uint8(by)
    return other


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (PICTURE.copy(), True),
        (changed(1, 5, columns=1), True),
        (changed(9, 5, columns=9), True),
        (changed(300, 2), True),
        (changed(300, 3), False),
        (changed(30, 5), False),
        (PICTURE[::-1].copy(), False),
        (PICTURE[:200], False),
    ],
)
def test_a_changed_copy_is_alike(other, alike):
    assert repeated(PICTURE, other) == [False, alike]
    assert repeated(*(each.astype(np.float32) for each in (PICTURE, other))) == [
        False,
        alike,
    ]  # fmt: skip


def test_equal_digests_are_repeated_however_many_there_are():
    seen = Likeness()
    many = [np.full((2, 2, 3), 5 * level, np.uint8) for level in range(40)]
    first = [seen.is_repeated(str(i), many[i]) for i in range(40)]
    again = [seen.is_repeated(str(i), many[i]) for i in range(40)]
    assert not any(first) and all(again)
