"""Laws of all layouts of data sets: labels, masks and pictures to inspect."""

import pytest

from anomedge.images import list_for_inspection, read_folder, select_normal
from anomedge.images.datasets import DATA_SETS
from tests.images.layouts import LAYOUTS


def test_directory_is_the_registry():
    assert DATA_SETS.names() == [
        "beside",
        "folders",
        "list",
        "mvtec",
        "unlabelled",
        "visa",
    ]
    assert not DATA_SETS.faults()


@pytest.mark.parametrize("name", sorted(LAYOUTS.keys() - {"mvtec"}))
def test_each_layout_gives_its_normal_pictures(tmp_path, name):
    path = LAYOUTS[name](tmp_path / "set")
    selection = select_normal(path)
    assert len(selection.pictures) == 4
    assert not any(picture.anomalous for picture in selection.pictures)
    left_out = selection.left_out
    assert left_out.get("anomalous", left_out.get("of another split", 0)) >= 2


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_gives_its_anomalous_pictures(tmp_path, name):
    path = LAYOUTS[name](tmp_path / "set")
    pictures = read_folder(path)
    anomalous = [picture for picture in pictures if picture.anomalous]
    assert len(anomalous) == 2
    assert all(picture.anomalous is not None for picture in pictures)
    if name in {"01", "ok-ng", "good-bad"}:
        assert not any(picture.mask_path for picture in pictures)
        return
    for picture in anomalous:
        found = picture.mask()
        assert found.shape == picture.frame().shape[:2] == (96, 128)
        assert found.sum() == 20 * 30
    names = [picture.name for picture in pictures]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_mask_is_a_picture_to_inspect(tmp_path, name):
    listing = list_for_inspection(LAYOUTS[name](tmp_path / "set"))
    names = [listing.name(path) for path in listing.pictures]
    assert len(names) >= 6
    assert not [name for name in names if "label" in name or "Masks" in name]
    if name in {"kolektor", "magnetic-tile", "btad"}:
        assert listing.masks
