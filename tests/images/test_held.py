"""Pictures that are decoded once."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from anomedge.images import Picture, held, picture


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded."""
    names = []
    read = picture.read_picture

    def counting(path, content=None, **options):
        names.append(path.name)
        return read(path, content, **options)

    monkeypatch.setattr(picture, "read_picture", counting)
    return names


@pytest.fixture
def given(tmp_path):
    for name in "ab":
        pixels = np.full((6, 8, 3), ord(name), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return [
        Picture(n, path=tmp_path / f"{n}.png", anomalous=False) for n in "ab"
    ]


@pytest.mark.parametrize("size", [(6, 8), (3, 4)])
def test_a_file_is_decoded_once(given, decoded, size):
    pictures = held(given)
    for _ in range(3):
        frames = [each.frame(size) for each in pictures]
    assert decoded == ["a.png", "b.png"]
    for frame, plain in zip(frames, given, strict=True):
        assert np.array_equal(frame, plain.frame(size))
        assert not frame.flags.writeable


def test_the_own_size_is_known_from_a_frame_that_was_not_stretched(
    given, decoded
):
    one = held(given)[0]
    one.frame((6, 8))
    assert one.mask().shape == one.frame().shape[:2] == (6, 8)
    assert decoded == ["a.png"]


def test_a_kept_frame_serves_other_sizes(given, decoded):
    one = held(given)[0]
    one.frame()
    assert one.frame((3, 4)).shape == (3, 4, 3)
    assert decoded == ["a.png"]


def test_frames_beyond_the_budget_are_decoded_again(given, decoded):
    pictures = held(given, most_bytes=6 * 8 * 3)
    for _ in range(2):
        for each in pictures:
            each.frame((6, 8))
    assert decoded == ["a.png", "b.png", "b.png"]


def test_a_frame_of_another_size_is_not_taken_for_the_own_one(given):
    one = held(given)[0]
    one.frame((3, 4))
    assert one.frame().shape == (6, 8, 3)


def test_everything_but_the_frame_stays(given):
    pictures = held(given)
    assert held(pictures) == pictures
    for each, plain in zip(pictures, given, strict=True):
        for field in dataclasses.fields(Picture):
            assert getattr(each, field.name) == getattr(plain, field.name)
        assert each.digest == plain.digest
    made = Picture("made", pixels=np.zeros((2, 2, 3), dtype=np.uint8))
    assert held([made]) == [made]
