"""Lists of pictures as data sets."""

import json

import pytest

from anomedge.images import (
    read_data_set,
    read_folder,
    read_folders,
    select_normal,
)
from tests.images.layouts import listed
from tests.images.lists import refused


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_list_has_labels_masks_kinds_and_splits(tmp_path, suffix):
    path = listed(tmp_path, suffix)
    pictures = read_folder(path)
    assert [(p.name, p.anomalous, p.kind) for p in pictures] == [
        ("pictures/4.png", False, ""),
        ("pictures/5.png", False, ""),
        ("pictures/bad0.png", True, "dent"),
        ("pictures/bad1.png", True, "dent"),
    ]
    assert pictures[2].mask().sum() == 600
    assert select_normal(path).left_out == {"of another split": 4, "masks": 2}
    assert len(read_folders([path, path])) == 8


def test_only_paths_are_required(folder):
    (folder / "list.csv").write_text("file\na.png\n\nb.png\n")
    assert [p.anomalous for p in read_folder(folder / "list.csv")] == [None] * 2
    selection = select_normal(folder / "list.csv")
    assert len(selection.pictures) == 2
    assert selection.unlabelled == {".": 2}
    message = refused(folder, "file\na.png\n", normal="good")
    assert "no column `label`" in message


def test_a_json_list_may_be_named(folder):
    content = {"pictures": [{"path": "a.png", "label": 0}]}
    (folder / "list.json").write_text(json.dumps(content))
    assert read_data_set(folder / "list.json").layout == "list"


def test_the_normal_label_may_be_given(folder):
    (folder / "list.csv").write_text("path,label\na.png,A\nb.png,B\n")
    pictures = read_folder(folder / "list.csv", "B")
    assert [p.anomalous for p in pictures] == [True, False]
