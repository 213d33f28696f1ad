"""Kinds of defect and checks of headers."""

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.evaluation.dataset import check_headers, read_labelled
from anomedge.images import Picture, picture
from anomedge.parity.ground_truth import ground_truth_of
from anomedge.resample import Geometry


def write(path, size=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("good/1.png", "good/2.png", "hole/1.png", "hole/deep/2.png"):
        write(tmp_path / "test" / name)
    write(tmp_path / "test" / "scratch" / "1.png")
    write(tmp_path / "ground_truth" / "hole" / "1_mask.png")
    return tmp_path


def test_kinds_are_the_first_folders(folder):
    data = read_labelled(folder)
    assert list(data.kinds) == ["good", "good", "hole", "hole", "scratch"]
    assert data.defects == ["hole", "scratch"]
    assert data.anomalous.tolist() == [False, False, True, True, True]


def test_a_folder_of_both_labels_is_no_kind(folder, monkeypatch):
    mixed = [
        Picture("a/1.png", anomalous=False),
        Picture("a/2.png", anomalous=True),
        Picture("b/3.png", anomalous=True),
        Picture("4.png", anomalous=True),
        Picture("5.png"),
    ]
    monkeypatch.setattr(
        "anomedge.evaluation.dataset.read_folder", lambda *_: mixed
    )
    data = read_labelled(folder)
    assert list(data.kinds) == ["good", "anomalous", "b", "anomalous"]
    assert data.unlabelled == 1


def test_faults_are_counted_and_shown(folder):
    pictures = read_labelled(folder).pictures
    check_headers(pictures, (6, 8))
    check_headers(pictures, None)
    with pytest.raises(InputError, match=r"got 5 of 5 pictures.*of 9x9"):
        check_headers(pictures, (9, 9))
    (folder / "ground_truth" / "hole" / "1_mask.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r"1_mask\.png: cannot be read"):
        check_headers(pictures, None)


def test_masks_of_another_shape_are_refused(folder):
    """A picture that EXIF turns, with a mask that was drawn before the turn."""
    turned = Image.new("RGB", (60, 80))
    exif = turned.getexif()
    exif[0x0112] = 6
    (folder / "test/hole/1.png").unlink()
    turned.save(folder / "test/hole/1.jpg", exif=exif)
    path = folder / "ground_truth/hole/1_mask.png"
    pictures = read_labelled(folder).pictures
    upright = Geometry((60, 80))
    for size in ((80, 60), (40, 30), (41, 30)):
        Image.new("L", size).save(path)
        check_headers(pictures, None)
        ground_truth_of(pictures, upright, upright.size)
    Image.new("L", (60, 80)).save(path)
    wrong = "got a mask of 80x60; expected the shape of its picture, 60x80"
    with pytest.raises(InputError, match=wrong):
        check_headers(pictures, None)
    with pytest.raises(InputError, match=wrong):
        ground_truth_of(pictures, upright, upright.size)


def test_the_depth_of_masks_is_checked(folder):
    pictures = read_labelled(folder).pictures
    path = folder / "ground_truth" / "hole" / "1_mask.png"
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(path)
    check_headers(pictures, None)
    Image.fromarray(np.zeros((6, 8), np.int32)).save(path, format="TIFF")
    with pytest.raises(InputError, match="got a mask of 32 bits a") as error:
        check_headers(pictures, None)
    assert "--levels" not in str(error.value)


def test_each_header_is_opened_once(folder, monkeypatch):
    opened = []
    open_picture = picture.open_picture
    monkeypatch.setattr(
        picture,
        "open_picture",
        lambda path, *more, **options: (
            opened.append(path) or open_picture(path, *more, **options)
        ),
    )
    pictures = read_labelled(folder).pictures
    check_headers(pictures, (6, 8))
    assert len(opened) == len(set(opened)) == 6
