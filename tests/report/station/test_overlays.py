"""Overlays of the worst frames, among the files of a folder."""

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.report.station.log import WorstFrame
from anomedge.report.station.overlays import overlays_of
from anomedge.station.picture_keeper import PictureKeeper

TIME = 1_700_000_000.123456


def saved(folder, name, number, time=TIME, grey=7):
    picture = np.full((6, 8, 3), grey, np.uint8)
    return PictureKeeper(folder).save(
        picture, name=name, number=number, time=time
    )


def test_a_frame_is_found_by_number_name_and_time(tmp_path):
    saved(tmp_path, "a/b c.png", 3)
    saved(tmp_path, "a/b c.png", 3, TIME + 60, grey=9)
    (tmp_path / "other.png").write_bytes(b"")
    wanted = WorstFrame(5.0, 3, round(TIME, 3), "a/b c.png")
    missing = WorstFrame(4.0, 4, TIME, "a/b c.png")
    found = overlays_of(tmp_path, [wanted, missing])
    assert list(found) == [wanted]
    assert found[wanted].pixels.max() == 7


def test_a_broken_overlay_is_left_out(tmp_path):
    saved(tmp_path, "a.png", 3).write_bytes(b"broken")
    assert overlays_of(tmp_path, [WorstFrame(5.0, 3, TIME, "a.png")]) == {}


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be listed"):
        overlays_of(tmp_path / "none", [])
