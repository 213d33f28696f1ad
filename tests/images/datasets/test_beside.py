"""Masks beside pictures, in folders whose names are no labels."""

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder, read_normal, select_normal
from tests.images.layouts import kolektor, magnetic_tile


def test_masks_beside_pictures_are_never_fitted_to(tmp_path):
    kolektor(tmp_path)
    selection = select_normal(tmp_path)
    assert [picture.name for picture in selection.pictures] == [
        f"kos{i:02}/Part0.jpg" for i in range(2, 6)
    ]
    assert selection.left_out == {"anomalous": 2, "masks": 6}
    assert all(p.mask_path.suffix == ".bmp" for p in selection.pictures)


def test_one_folder_of_magnetic_tile_is_labelled_by_its_masks(tmp_path):
    magnetic_tile(tmp_path)
    (tile,) = read_folder(tmp_path / "MT_Crack" / "Imgs")
    assert tile.anomalous
    with pytest.raises(InputError, match="1 anomalous pictures and no normal"):
        read_normal(tmp_path / "MT_Crack" / "Imgs")
    kinds = {picture.kind for picture in read_folder(tmp_path)}
    assert kinds == {"", "MT_Blowhole", "MT_Crack"}
