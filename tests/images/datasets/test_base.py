"""Data sets of any layout: splits, and labels of some pictures only."""

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder, read_normal, select_normal
from tests.images.layouts import kolektor, photo, two_labels


def test_pictures_without_a_mask_among_others_are_refused_as_normal(tmp_path):
    kolektor(tmp_path)
    (tmp_path / "kos04/Part0_label.bmp").unlink()
    assert [p.anomalous for p in read_folder(tmp_path)].count(None) == 1
    with pytest.raises(InputError, match=r"1 without a label, kos04/Part0"):
        read_normal(tmp_path)


def test_loose_pictures_beside_labels_have_none(tmp_path):
    two_labels(tmp_path, "ok", "ng")
    photo(tmp_path / "loose.png")
    assert read_folder(tmp_path)[0].anomalous is None
    with pytest.raises(InputError, match=r"1 without a label, loose\.png"):
        read_normal(tmp_path)


def test_training_pictures_do_not_stand_in_for_a_split(folder):
    path = folder / "list.csv"
    path.write_text("path,split\na.png,train\nb.png,validation\n")
    assert len(read_normal(path)) == 1
    wrong = "got the splits train 1, validation 1; expected pictures of the spl"
    with pytest.raises(InputError, match=wrong):
        read_folder(path)
    with pytest.raises(InputError, match=wrong):
        select_normal(path, split="test")
    # Without splits, all pictures serve.
    path.write_text("path,split\na.png,\nb.png,\n")
    assert len(read_folder(path)) == 2
