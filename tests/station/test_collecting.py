"""The random sample of normal frames: its size, its probabilities, and a restart."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import OutputError
from anomedge.images import list_pictures
from anomedge.station.collecting import NormalCollector, Reservoir
from tests.station.test_loop import frame


def collect(folder, greys, size=4, seed=0, label="normal"):
    faults = []
    generator = np.random.default_rng(seed)
    collector = NormalCollector(
        folder, size, lambda *fault: faults.append(fault), generator
    )
    for number, grey in enumerate(greys, 1):
        result = SimpleNamespace(label=label)
        collector.decided(frame(number, grey, (2, 2)), result, None)
    return faults


def kept(folder):
    found = []
    for path in list_pictures(folder):
        with Image.open(path) as picture:
            found.append(np.asarray(picture)[0, 0, 0])
    return sorted(found)


def test_the_first_frames_fill_the_places_and_their_number_stays(tmp_path):
    assert collect(tmp_path, range(1, 4)) == []
    assert kept(tmp_path) == [1, 2, 3]
    collect(tmp_path, range(10, 60))
    assert len(kept(tmp_path)) == 4
    assert not list(tmp_path.glob("*.tmp"))


def test_each_item_is_kept_with_the_same_probability():
    counts = Counter()
    generator = np.random.default_rng(0)
    for _ in range(2000):
        reservoir, sample = Reservoir(2, {0, 1}, 0, generator), {}
        for item in range(8):
            place = reservoir.place()
            if place is not None:
                sample[place] = item
        counts.update(sample.values())
    assert sum(counts.values()) == 4000
    for item in range(8):
        assert counts[item] == pytest.approx(500, abs=100)


def test_a_restart_goes_on_with_the_sample(tmp_path):
    collect(tmp_path, range(4))
    state = tmp_path / ".collected.json"
    state.write_text('{"seen": 1000000}')
    collect(tmp_path, range(100, 120))
    assert kept(tmp_path) == [0, 1, 2, 3]
    state.write_text("broken")
    collect(tmp_path, range(100, 120))
    assert kept(tmp_path) != [0, 1, 2, 3]
    assert json.loads(state.read_text())["seen"] > 4


def test_a_smaller_sample_removes_its_own_pictures_alone(tmp_path):
    collect(tmp_path, range(4))
    (tmp_path / "mine.png").write_bytes(b"kept")
    collect(tmp_path, [], size=2)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "mine.png",
        "normal-000000.png",
        "normal-000001.png",
    ]


def test_anomalous_frames_are_left_out(tmp_path):
    collect(tmp_path, range(4), label="anomalous")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_is_reported_and_the_next_frame_is_tried(tmp_path):
    (tmp_path / "normal-000000.png").mkdir()
    faults = collect(tmp_path, range(30), size=1)
    assert len(faults) > 1  # its place is tried again
    assert "not collected" in faults[0][1]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write into"):
        collect(tmp_path / "file" / "in", [])
