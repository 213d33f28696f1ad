"""The layout of VisA."""

import shutil

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder, select_normal
from tests.images.layouts import visa


def test_visa_is_read_one_object_at_a_time(tmp_path):
    folder = visa(tmp_path)
    with pytest.raises(InputError, match="candle, pcb1; expected one of them"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match=r"list of VisA; .*/candle"):
        read_folder(tmp_path / "split_csv/1cls.csv")
    pictures = read_folder(folder)
    assert [p.anomalous for p in pictures] == [False, False, True, True]
    selection = select_normal(folder)
    assert selection.left_out == {"of another split": 4, "masks": 2}
    # Without the splits, names of folders or the object's own list label them.
    shutil.rmtree(tmp_path / "split_csv")
    assert [p.anomalous for p in read_folder(folder)].count(True) == 2
    (folder / "image_anno.csv").write_text(
        "image,label,mask\n"
        "candle/Data/Images/Normal/0000.JPG,normal,\n"
        "candle/Data/Images/Anomaly/000.JPG,wax melded out,"
        "candle/Data/Masks/Anomaly/000.png\n"
    )
    pictures = read_folder(folder)
    assert [p.kind for p in pictures] == ["", "wax melded out"]


def test_visa_of_one_object_is_read_from_its_root(tmp_path):
    visa(tmp_path, objects=("candle",))
    assert len(read_folder(tmp_path)) == 4
