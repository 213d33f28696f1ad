"""Pictures of folders and lists, with names and labels."""

import os

import numpy as np
from PIL import Image

from anomedge.images import list_for_inspection, read_folder, read_folders
from tests.images.folders import PIXELS, gradient


def test_names_that_are_not_utf_8_can_be_stored(tmp_path):
    Image.fromarray(PIXELS).save(
        tmp_path / os.fsdecode(b"\xff\xfe.png"), format="PNG"
    )
    (picture,) = read_folder(tmp_path)
    assert picture.name == "\\xff\\xfe.png"
    assert picture.frame().shape == (6, 9, 3)


def test_folders_are_listed_in_order_and_labelled_by_layout(tmp_path):
    for name in (
        "test/good/b.png",
        "test/good/a.PNG",
        "test/scratch/a.png",
        "test/good/.hidden.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gradient()).save(tmp_path / name)
    (tmp_path / "ground_truth/scratch").mkdir(parents=True)
    mask = np.zeros((6, 9), np.uint8)
    mask[2:4] = 255
    Image.fromarray(mask).save(tmp_path / "ground_truth/scratch/a_mask.png")
    (tmp_path / "test/readme.txt").write_text("no picture")
    for folder in (tmp_path, tmp_path / "test"):
        found = read_folder(folder)
        assert [p.name for p in found] == [
            "good/a.PNG",
            "good/b.png",
            "scratch/a.png",
        ]
        assert [p.anomalous for p in found] == [False, False, True]
        assert found[0].mask().sum() == 0
        np.testing.assert_array_equal(found[2].mask(), mask > 0)
    assert [p.anomalous for p in read_folder(tmp_path / "test" / "good")] == [
        None,
        None,
    ]
    twice = read_folders(
        [tmp_path / "test" / "good", tmp_path / "test" / "scratch"]
    )
    assert [p.name for p in twice] == [
        "1-good/a.PNG",
        "1-good/b.png",
        "2-scratch/a.png",
    ]


def test_lists_to_inspect_need_no_labels(folder):
    (folder / "list.csv").write_text("path,label\na.png,A\nb.png,B\n")
    assert len(list_for_inspection(folder / "list.csv").pictures) == 2
