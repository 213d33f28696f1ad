"""A changed threshold or bundle while a station runs: used as a whole from the next frame on, or refused."""

import io
import json
import os
import shutil
import time

import pytest

from anomedge.bundle import Bundle, LocalSettings, remove_local, write_local
from anomedge.errors import BundleError
from anomedge.inspector import Inspector
from anomedge.station import EventWriter, candidate
from anomedge.station.candidate import CandidateRules
from anomedge.station.exchange import FollowedBundle, PinnedBundle
from tests.bundle.exchanging import flip

OPTIONS = {"runtime": "ort", "threads": 1}


class Followed:
    """A follower and the inspector in use; `settle` asks as the loop does, until nothing more happens."""

    def __init__(self, path, **rules):
        self.stream = io.StringIO()
        self.told = []
        self.follower = FollowedBundle(
            EventWriter(self.stream),
            CandidateRules(OPTIONS, **rules),
            self.told.append,
            every=0,
        )
        self.inspector = Inspector.open(path, **OPTIONS)
        assert self.settle() == []

    def settle(self):
        """The lines of what has changed."""
        before = len(self.lines())
        for _ in range(4):
            self.ask()
            while self.follower._opening is not None:
                time.sleep(0.01)
                self.ask()
        return self.lines()[before:]

    def ask(self):
        self.inspector = self.follower.follow(self.inspector)

    def lines(self):
        return [
            json.loads(line)
            for line in self.stream.getvalue().split("\n")
            if line
        ]

    def states(self):
        return [(line["event"], line["state"]) for line in self.settle()]


@pytest.fixture
def copy(bundle_paths, tmp_path):
    return shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")


@pytest.fixture
def followed(copy):
    made = Followed(copy)
    yield made
    made.follower.close()
    made.inspector.close()


def test_a_threshold_is_set_and_reset(copy, followed):
    made = followed.inspector.decision.threshold
    write_local(Bundle.open(copy), LocalSettings(threshold=5.0))
    (line,) = followed.settle()
    assert (line["event"], line["state"]) == ("decision", "applied")
    assert (line["threshold"], line["old_threshold"]) == (5.0, made)
    assert line["name"] == str(copy / "local.json")
    assert followed.inspector.decision.threshold == 5.0
    remove_local(Bundle.open(copy))
    assert followed.states() == [("decision", "applied")]
    assert followed.inspector.decision.threshold == made


def test_broken_settings_are_refused_until_they_are_mended(copy, followed):
    write_local(Bundle.open(copy), LocalSettings(threshold=5.0))
    followed.settle()
    good = (copy / "local.json").read_bytes()
    (copy / "local.json").write_bytes(good[:-3])
    (line,) = followed.settle()
    assert (line["event"], line["state"]) == ("decision", "refused")
    assert followed.told == [line["message"]]
    assert followed.inspector.decision.threshold == line["threshold"] == 5.0
    (copy / "local.json").write_bytes(good)
    assert followed.states() == [("decision", "restored")]


def test_another_bundle_replaces_the_one_in_use_as_a_whole(
    bundle_paths, copy, followed
):
    before = followed.inspector
    other = Bundle.open(bundle_paths["patchcore"])
    shutil.rmtree(copy)
    shutil.copytree(other.path, copy)
    noticed, applied = followed.settle()
    assert (noticed["event"], noticed["state"]) == ("changed", "noticed")
    assert (applied["event"], applied["state"]) == ("bundle", "applied")
    assert applied["digest"] == other.manifest.digest
    assert applied["old_digest"] == before.bundle.manifest.digest
    assert applied["threshold"] == other.decision.threshold
    assert before.session._closed
    assert followed.inspector.bundle.manifest == other.manifest
    assert followed.inspector.predict(copy / "golden" / "000.png").score > 0
    write_local(Bundle.open(copy), LocalSettings(threshold=9.0))
    assert followed.states() == [("decision", "applied")]
    assert followed.inspector.decision.threshold == 9.0


def half_copied(copy, other):
    shutil.copy(other / "manifest.json", copy)
    (copy / "model.onnx").write_bytes(b"half")


@pytest.mark.parametrize(
    "damage",
    [
        lambda copy, _: flip(copy / "model.onnx"),
        lambda copy, _: (copy / "another").write_text(""),
        lambda copy, _: (copy / "manifest.json").unlink(),
        half_copied,
    ],
    ids=["flipped", "added", "no manifest", "half copied"],
)
def test_files_that_are_not_a_whole_bundle_are_refused(
    bundle_paths, copy, followed, damage
):
    before = followed.inspector
    damage(copy, bundle_paths["patchcore"])
    noticed, refused = followed.settle()
    assert noticed["state"] == "noticed"
    assert (refused["event"], refused["state"]) == ("bundle", "refused")
    assert followed.told == [refused["message"]]
    assert followed.inspector is before
    assert before.predict(bundle_paths["padim"] / "golden" / "000.png").score
    shutil.rmtree(copy)
    shutil.copytree(bundle_paths["padim"], copy)
    assert followed.states()[-1] == ("bundle", "restored")


def test_files_that_are_still_written_are_not_opened(copy, followed):
    before = len(followed.lines())
    for number in range(5):
        (copy / "model.onnx").write_bytes(b"x" * number)
        followed.ask()
    assert followed.follower._opening is None
    (line,) = followed.lines()[before:]
    assert line["state"] == "noticed"


def test_a_bundle_whose_graph_does_not_run_is_refused(
    bundle_paths, copy, followed, monkeypatch
):
    def fail(*_):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(Inspector, "predict_batch", fail)
    before = followed.inspector
    shutil.rmtree(copy)
    shutil.copytree(bundle_paths["patchcore"], copy)
    refused = followed.settle()[-1]
    assert refused["state"] == "refused"
    assert "no kernel" in refused["message"]
    assert followed.inspector is before


def test_a_bundle_that_the_station_does_not_fit_is_refused(
    bundle_paths, copy, monkeypatch
):
    current = Bundle.open(copy)
    shutil.rmtree(copy)
    shutil.copytree(bundle_paths["patchcore"], copy)
    sizes = iter([(9, 9), (8, 8)])
    monkeypatch.setattr(candidate, "stated_size", lambda _: next(sizes))
    with pytest.raises(BundleError, match="frames of 9x9; expected 8x8"):
        CandidateRules(OPTIONS).open(current)


def test_a_reload_reads_at_once_and_is_a_line(copy, followed):
    followed.follower._next_look = time.monotonic() + 60
    write_local(Bundle.open(copy), LocalSettings(threshold=5.0))
    followed.follower.reload()
    followed.ask()
    decision, reloaded = followed.lines()[-2:]
    assert decision["event"] == "decision"
    assert (reloaded["event"], reloaded["threshold"]) == ("reloaded", 5.0)
    assert reloaded["name"] == str(copy / "local.json")


def test_touched_files_change_nothing(copy, followed):
    before = followed.inspector
    os.utime(copy / "model.onnx")
    assert followed.states() == [("changed", "noticed"), ("bundle", "restored")]
    assert followed.inspector is before


def test_a_pinned_bundle_refuses_everything(copy, bundle_paths):
    stream, told = io.StringIO(), []
    pinned = PinnedBundle(EventWriter(stream), told.append)
    with Inspector.open(copy, **OPTIONS) as inspector:
        made = inspector.decision.threshold
        assert pinned.follow(inspector) is inspector
        write_local(Bundle.open(copy), LocalSettings(threshold=5.0))
        inspector._changes._next_poll = 0.0
        pinned.reload()
        assert pinned.follow(inspector) is inspector
        assert inspector.decision.threshold == made
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["reloaded", "changed"]
    assert "pinned" in lines[0]["message"]
    assert lines[1]["state"] == "refused"
    assert told == [lines[1]["message"]]
    pinned.close()
