"""Folders of pictures that several tests share."""

import pytest

from tests.images.layouts import mask, photo


@pytest.fixture
def folder(tmp_path):
    """A folder with two pictures and a mask, beside a third picture."""
    root = tmp_path / "inside"
    photo(root / "a.png")
    photo(root / "b.png")
    mask(root / "b_mask.png")
    photo(tmp_path / "outside.png")
    return root
