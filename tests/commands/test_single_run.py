"""End of `watch --once`."""

import pytest

from anomedge.commands._single_run import refuse_failed_run
from anomedge.errors import InputError
from anomedge.station.counts import Summary


def test_a_folder_without_a_picture_is_refused_unless_one_was_read(tmp_path):
    read = Summary(frames=1, anomalous=0, undecided=0, errors=0, dropped=0)
    none = read._replace(frames=0)
    with pytest.raises(
        InputError, match=r"no picture directly in .*; expected"
    ):
        refuse_failed_run(none, tmp_path, None)
    refuse_failed_run(read, tmp_path, None)
    refuse_failed_run(none, tmp_path, tmp_path)
    refuse_failed_run(none, None, None)
    (tmp_path / "late.png").touch()
    refuse_failed_run(none, tmp_path, None)


def test_undecided_pictures_are_counted():
    found = Summary(frames=3, anomalous=0, undecided=2, errors=2, dropped=0)
    with pytest.raises(InputError, match="2 of 5 pictures were skipped"):
        refuse_failed_run(found, None, None)
