"""The share of alarms: a drift of it begins and is over."""

from anomedge.station.drift.alarm_figure import AlarmFigure
from anomedge.station.drift.alarm_rate import limit
from anomedge.station.drift.levels import BEGIN


def changes(figure, labels):
    return [place for place, label in enumerate(labels) if figure.add(label)]


def test_it_begins_at_the_limit_and_is_over_with_normal_frames():
    figure = AlarmFigure(1, 100, 64)
    assert changes(figure, ([False] * 30 + [True]) * 30) == []
    least = limit(BEGIN, 16, 1, 100)
    begun = changes(figure, [True] * 16)
    assert len(begun) == 1
    assert begun[0] < least
    found = figure.comparison()
    assert (found.frames, found.reference) == (16, 0.01)
    assert found.interval[0] < found.value <= found.interval[1]
    assert len(changes(figure, [False] * 64)) == 1
    assert not figure.drifting


def test_a_reference_of_alarms_alone_shows_none():
    assert changes(AlarmFigure(6, 6, 64), [True] * 200) == []
