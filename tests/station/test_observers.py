"""Options of the observers that do not suit each other."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from anomedge.errors import InputError
from anomedge.station import EventWriter
from anomedge.station.collecting import NormalCollector
from anomedge.station.drift.events import DriftWatch
from anomedge.station.observers import ObserverOptions


def bundle(levels=None):
    return SimpleNamespace(manifest=SimpleNamespace(levels=levels))


@pytest.mark.parametrize(
    ("options", "levels", "message"),
    [
        (ObserverOptions(collect=3), None, "expected both"),
        (ObserverOptions(collect_to=Path("a")), None, "expected both"),
        (
            ObserverOptions(collect=3, collect_to=Path("in/../out")),
            None,
            "another purpose",
        ),
        (
            ObserverOptions(collect=3, collect_to=Path("a")),
            (0, 4095),
            "more than 8 bits",
        ),
    ],
)
def test_options_that_do_not_suit_are_refused(options, levels, message):
    with pytest.raises(InputError, match=message):
        options.check(bundle(levels), None, Path("out"))


def test_observers_are_those_of_the_options(tmp_path):
    output = EventWriter(io.StringIO())
    (drift,) = ObserverOptions().open(output)
    assert isinstance(drift, DriftWatch)
    options = ObserverOptions(
        collect=3, collect_to=tmp_path / "kept", no_drift=True
    )
    options.check(bundle(), None, tmp_path)
    assert options.note(bundle()) is None
    (collector,) = options.open(output)
    assert isinstance(collector, NormalCollector)
