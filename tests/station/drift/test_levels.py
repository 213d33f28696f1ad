"""Lengths of windows, and the state of a drift."""

from anomedge.station.drift.levels import Hysteresis, lengths_of


def test_windows_are_short_and_long():
    assert lengths_of(64) == (16, 64)
    assert lengths_of(16) == (8, 16)
    assert lengths_of(512) == (128, 512)


def test_the_state_changes_by_one_window_and_back_by_all():
    state = Hysteresis()
    shows, between, none = (True, False), (False, False), (False, True)
    assert not state.after([between, none])
    assert state.after([shows, none])
    assert state.after([none, between])
    assert not state.after([none, none])
