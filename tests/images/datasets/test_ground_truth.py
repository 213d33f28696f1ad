"""Masks in a folder `ground_truth`."""

import os

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder
from tests.images.folders import put, refusing
from tests.images.layouts import mask, mvtec, photo


def test_masks_of_the_pictures_stem_serve_mvtec_too(tmp_path):
    """As in VisA converted to the layout of MVTec AD."""
    photo(tmp_path / "test/good/0.png")
    photo(tmp_path / "test/bad/000.JPG")
    mask(tmp_path / "ground_truth/bad/000.png", level=1)
    (bad,) = [p for p in read_folder(tmp_path) if p.anomalous]
    assert bad.mask().sum() == 600


def test_the_case_of_ground_truth_does_not_matter(tmp_path):
    mvtec(tmp_path)
    (tmp_path / "ground_truth").rename(tmp_path / "Ground_Truth")
    masks = [p.mask_path for p in read_folder(tmp_path) if p.anomalous]
    assert None not in masks


def test_masks_that_cannot_be_listed_are_named(tmp_path, monkeypatch):
    put(
        tmp_path,
        "test/good/a.png",
        "test/scratch/b.png",
        "ground_truth/scratch/b_mask.png",
    )
    hidden = tmp_path / "ground_truth" / "scratch"
    monkeypatch.setattr(
        os,
        "scandir",
        refusing(hidden, PermissionError(13, "Permission denied")),
    )
    with pytest.raises(
        InputError, match="ground_truth/scratch: the folder cannot be listed"
    ):
        read_folder(tmp_path)
