"""Daily parts of large grids."""

import pytest

from tests.sampling import VARIABLE, part_of_grid

GRID = [f"case {number}" for number in range(50)]


def part(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    return part_of_grid(GRID, 8)


def test_consecutive_days_cover_the_grid_once(monkeypatch):
    days = [part(monkeypatch, str(day)) for day in range(739000, 739008)]
    assert sorted(case for day in days for case in day) == sorted(GRID)
    assert {len(day) for day in days} == {6, 7}


def test_same_number_selects_the_same_part(monkeypatch):
    assert part(monkeypatch, "5") == part(monkeypatch, "5")
    assert part(monkeypatch, "5") != part(monkeypatch, "6")


def test_all_selects_the_whole_grid(monkeypatch):
    assert part(monkeypatch, "all") == GRID


def test_other_values_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="some"):
        part(monkeypatch, "some")
