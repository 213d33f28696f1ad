"""Attempts rise until one succeeds, and a few between the last two follow."""

import pytest

from anomedge.pipelines.quantised.fewest import REFINEMENTS, fewest


def attempts(first, most, least):
    """The numbers that are tried if `least` is the smallest that is enough, and the one that is returned."""
    tried = []

    def attempt(number):
        tried.append(number)
        return number if number >= least else None

    return tried, fewest(first, most, attempt)


@pytest.mark.parametrize(
    ("first", "least", "expected"),
    [
        (4, 0, [4]),
        (4, 5, [4, 8, 6, 5]),
        (4, 8, [4, 8, 6, 7]),
        (0, 1, [0, 1]),
        (13, 40, [13, 26, 47, 36, 41]),
    ],
)
def test_numbers_double_and_the_last_gap_is_halved(first, least, expected):
    tried, found = attempts(first, 47, least)
    assert tried == expected
    assert found == min(number for number in tried if number >= least)


def test_no_number_is_enough():
    tried, found = attempts(3, 10, 11)
    assert (tried, found) == ([3, 6, 10], None)


@pytest.mark.parametrize("least", range(1, 101))
def test_the_result_is_enough_and_attempts_are_few(least):
    tried, found = attempts(1, 100, least)
    assert least <= found <= 100
    assert len(tried) <= 8 + REFINEMENTS
    assert len(set(tried)) == len(tried)
