"""Pictures from outside: their size, their colours, and folders without pictures."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.training.outside import OutsidePictures
from anomedge.resample import Geometry


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, colour in (("a", (250, 0, 0)), ("deep/b", (0, 0, 250))):
        frame = np.zeros((20, 30, 3), np.uint8)
        frame[5:15, 8:22] = colour
        Image.fromarray(frame).save(tmp_path / f"{name}.png")
    return tmp_path


def test_images_are_enlarged_and_cropped(folder):
    outside = OutsidePictures(folder, Geometry((16, 24), (8, 12)), grey=0)
    images = outside.drawn(20)
    assert images.shape == (20, 3, 8, 12)
    middle = images[:, :, 4, 6] * 255
    colours = {tuple(x) for x in middle.round().int().tolist()}
    assert colours == {(250, 0, 0), (0, 0, 250)}
    # The border of the picture is outside of the crop.
    assert images.sum(dim=1).min() > 0.5


def test_some_are_grey(folder):
    outside = OutsidePictures(folder, Geometry((16, 24), (8, 12)), grey=0.3)
    torch.manual_seed(0)
    images = outside.drawn(100)
    is_grey = (images[:, 0] == images[:, 2]).flatten(1).all(dim=1)
    assert 15 < int(is_grey.sum()) < 45


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no picture"):
        OutsidePictures(tmp_path, Geometry((16, 24), (8, 12)), grey=0)


def test_pictures_of_the_fit_are_no_pictures_from_outside(folder):
    outside = OutsidePictures(folder, Geometry((8, 8)), grey=0)
    outside.refuse_shared({"0" * 64})
    one = Picture("b.png", folder / "deep" / "b.png")
    with pytest.raises(
        InputError, match=r"got 1 pictures .* deep/b\.png first; .* --penalty"
    ):
        outside.refuse_shared({one.digest})


def test_the_digest_is_that_of_names_and_contents(folder, tmp_path):
    def described(path):
        return OutsidePictures(path, Geometry((8, 8)), grey=0).described()

    first = described(folder)
    assert first.startswith("2 pictures, SHA-256 ")
    copy = tmp_path / "copy"
    shutil.copytree(folder / "deep", copy / "deep")
    shutil.copy(folder / "a.png", copy)
    assert described(copy) == described(copy / "deep" / "..") == first
    shutil.copy(copy / "a.png", copy / "deep" / "b.png")
    changed = described(copy)
    (copy / "a.png").rename(copy / "c.png")
    assert len({first, changed, described(copy)}) == 3


def test_all_pictures_that_cannot_be_used_are_named_at_once(folder):
    whole = (folder / "a.png").read_bytes()
    (folder / "broken.png").write_bytes(whole[:-30])
    Image.new("I;16", (9, 9)).save(folder / "deep" / "c.png")
    with pytest.raises(InputError, match="2 of 4") as caught:
        OutsidePictures(folder, Geometry((16, 24), (8, 12)), grey=0)
    message = str(caught.value)
    assert "broken.png: cannot be read" in message
    assert "c.png: got 16 bits a channel; expected 8" in message
    assert "have no --levels" in message
    assert "fit with --levels" not in message
