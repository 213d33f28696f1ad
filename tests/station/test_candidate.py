"""Conditions for a new bundle, with stand-ins for bundles and inspectors; `test_exchange` opens real ones."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.errors import BundleError
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import OutsideResize
from anomedge.station import candidate
from anomedge.station.candidate import CandidateRules, Opening

ANY_SIZE = OutsideResize(Geometry((4, 5)))


def bundle(digest="new", framing=(6, 8), levels=None, has_map=True):
    manifest = SimpleNamespace(
        digest=digest,
        framing=framing,
        levels=levels,
        has_map=has_map,
        geometry=Geometry((4, 5)),
    )
    return SimpleNamespace(path="part", local_folder="set", manifest=manifest)


CURRENT = bundle("old")


class Opened:
    """An inspector that keeps what it is asked for."""

    error = None

    def __init__(self, found, options):
        self.bundle, self.options = found, options
        self.frames, self.closed = [], False

    def predict_batch(self, frames):
        self.frames += frames
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed = True


@pytest.fixture
def opened(monkeypatch):
    """The inspectors that were opened."""
    made = []

    def opening(found, **options):
        made.append(Opened(found, options))
        return made[-1]

    monkeypatch.setattr(candidate.Inspector, "open", opening)
    return made


@pytest.fixture
def found(monkeypatch):
    """Put a bundle at the path of the one in use."""

    def put(**more):
        def opening(*place):
            assert place == (CURRENT.path, CURRENT.local_folder)
            return bundle(**more)

        monkeypatch.setattr(candidate.Bundle, "open", opening)

    return put


def test_the_bundle_in_use_is_not_opened_again(found, opened):
    found(digest="old", framing=(1, 1), has_map=False)
    assert CandidateRules(needs_map=True).open(CURRENT) is None
    assert opened == []


@pytest.mark.parametrize(
    ("framing", "size"), [((6, 8), (6, 8)), (ANY_SIZE, (4, 5))]
)
def test_a_new_bundle_gets_the_options_and_one_grey_frame(
    framing, size, found, opened
):
    found(framing=framing)
    inspector = CandidateRules({"threads": 1}).open(CURRENT)
    assert opened == [inspector]
    assert inspector.bundle.manifest.digest == "new"
    assert inspector.options == {"threads": 1}
    (frame,) = inspector.frames
    assert (frame.shape, frame.dtype) == ((*size, 3), np.uint8)
    assert not inspector.closed


@pytest.mark.parametrize(
    ("rules", "given", "said"),
    [
        ({}, {"framing": (8, 6)}, "frames of 8x6; expected 6x8.*--stretch"),
        ({}, {"levels": (0, 1023)}, "other levels"),
        ({"stretch": True}, {"levels": (0, 1023)}, "other levels"),
        ({"needs_map": True}, {"has_map": False}, "no anomaly map"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_unopened(
    rules, given, said, found, opened
):
    found(**given)
    with pytest.raises(BundleError, match=said):
        CandidateRules(**rules).open(CURRENT)
    assert opened == []


@pytest.mark.parametrize(
    ("rules", "given"),
    [
        ({"stretch": True}, {"framing": (8, 6)}),
        ({"needs_map": False}, {"has_map": False}),
    ],
)
def test_an_option_of_the_station_lifts_a_condition(
    rules, given, found, opened
):
    found(**given)
    assert CandidateRules(**rules).open(CURRENT) is opened[0]


def test_a_size_after_any_size_is_refused(found, opened):
    found(framing=(6, 8))
    with pytest.raises(BundleError, match="expected any size"):
        CandidateRules().open(bundle("old", ANY_SIZE))
    assert opened == []


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_an_inspector_that_does_not_run_is_closed(
    error, found, opened, monkeypatch
):
    found()
    monkeypatch.setattr(Opened, "error", error)
    with pytest.raises(type(error)):
        CandidateRules().open(CURRENT)
    assert opened[0].closed


def test_an_opening_runs_beside_its_caller():
    go, thread = threading.Event(), []

    def function():
        thread.append(threading.current_thread())
        go.wait(10)
        return "inspector"

    opening = Opening(function)
    assert not opening.ended
    assert opening.result(timeout=0) is None
    go.set()
    assert opening.result() == "inspector"
    assert opening.ended
    assert thread[0] is not threading.current_thread()
    assert thread[0].daemon


def test_an_opening_raises_the_error_of_its_function_each_time():
    def function():
        raise BundleError("torn")

    opening = Opening(function)
    for _ in range(2):
        with pytest.raises(BundleError, match="torn"):
            opening.result()
    assert opening.ended
