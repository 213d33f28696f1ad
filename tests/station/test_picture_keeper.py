"""Overlays of anomalous frames: the newest are kept; full disks."""

import errno

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import OutputError
from anomedge.files import atomic as files
from anomedge.station import picture_keeper
from anomedge.station.picture_keeper import PictureKeeper
from tests.station.test_loop import SIZE, events, frame, run


def test_overlays_of_anomalous_frames_are_kept_newest_first_out(tmp_path):
    folder = tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    mine = folder / "mine.png"
    mine.write_bytes(b"not ours")
    earlier = folder / "19690101T000000.000000Z-00000001-old.png.overlay.png"
    earlier.write_bytes(b"")
    left = folder / f".{earlier.name}.abc.tmp"
    left.write_bytes(b"half")
    keeper = PictureKeeper(folder, keep=3)
    assert not left.exists()
    lines = run(
        [frame(number, 90 + 10 * number) for number in range(1, 7)],
        keeper=keeper,
    )
    assert lines[-1]["anomalous"] == 5
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        f"{n - 1:08d}-19700101T000001.500000Z-{n:08d}-f{n}.overlay.png"
        for n in (4, 5, 6)
    ] + ["mine.png"]
    with Image.open(folder / names[0]) as picture:
        assert picture.size == (SIZE[1], SIZE[0])


def test_names_of_pictures_stay_in_their_folder(tmp_path):
    path = PictureKeeper(tmp_path).save(
        np.zeros((4, 4, 3), np.uint8), name="../a/b:c\udcff", number=1, time=0.0
    )
    assert path.parent == tmp_path
    assert (
        path.name
        == "00000001-19700101T000000.000000Z-00000001-.._a_b_c_.overlay.png"
    )


def test_a_clock_that_went_back_deletes_no_fresh_picture(tmp_path):
    """A board without a battery starts in 1970; its pictures of yesterday have later times."""
    today = 1.8e9
    (tmp_path / "20260101T000000.000000Z-00000009-old.png.overlay.png").touch()
    for name, time in (("a", today), ("b", 5.0), ("c", 4.0), ("d", today)):
        PictureKeeper(tmp_path, keep=2).save(
            np.zeros((4, 4, 3), np.uint8), name=name, number=1, time=time
        )
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names[-2 if name == "a" else -1].endswith(f"-{name}.overlay.png")
    assert [name[:8] for name in names] == ["00000003", "00000004"]


def test_a_full_disk_is_an_error_line(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    keeper = PictureKeeper(tmp_path / "out")
    monkeypatch.setattr(picture_keeper.Image.Image, "save", full)
    lines = run([frame(1, 120), frame(2, 120)], keeper=keeper)
    assert events(lines) == [
        "started",
        "frame",
        "error",
        "frame",
        "error",
        "stopped",
    ]
    assert "no space left" in lines[2]["message"].lower()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give a folder that can be written"):
        PictureKeeper(tmp_path / "file" / "out")


def test_kept_overlays_do_not_list_their_folder(tmp_path, monkeypatch):
    keeper = PictureKeeper(tmp_path)
    monkeypatch.setattr(
        files,
        "_sweep",
        lambda target: pytest.fail("the folder is listed for every frame"),
    )
    keeper.save(np.zeros((4, 4, 3), np.uint8), name="a", number=1, time=0.0)
