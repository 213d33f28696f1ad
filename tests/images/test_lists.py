"""Lists of pictures: rows that cannot be trusted are refused by line."""

import json

import pytest

from anomedge.errors import InputError
from anomedge.images import (
    list_for_inspection,
    read_data_set,
    read_folder,
    read_folders,
    read_normal,
    select_normal,
    tables,
)
from tests.images.layouts import listed, mask, photo


@pytest.fixture
def folder(tmp_path):
    """A folder with two pictures and a mask, beside a third picture."""
    root = tmp_path / "inside"
    photo(root / "a.png")
    photo(root / "b.png")
    mask(root / "b_mask.png")
    photo(tmp_path / "outside.png")
    return root


def refused(folder, content, suffix=".csv", **more):
    """The message with which a list is refused."""
    path = folder / f"list{suffix}"
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(InputError) as caught:
        read_folder(path, **more)
    return str(caught.value)


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


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_of_spreadsheets(folder, delimiter):
    rows = [["Path", "Label", ""], ["a.png", "0", ""], ["b.png", "1", ""]]
    text = "\ufeff" + "\r\n".join(delimiter.join(row) for row in rows) + "\r\n"
    (folder / "list.csv").write_bytes(text.encode())
    pictures = read_folder(folder / "list.csv")
    assert [p.anomalous for p in pictures] == [False, True]


def test_only_paths_are_required(folder):
    (folder / "list.csv").write_text("file\na.png\n\nb.png\n")
    assert [p.anomalous for p in read_folder(folder / "list.csv")] == [None] * 2
    selection = select_normal(folder / "list.csv")
    assert len(selection.pictures) == 2
    assert selection.unlabelled == {".": 2}
    message = refused(folder, "file\na.png\n", normal="good")
    assert "no column `label`" in message


@pytest.mark.parametrize(
    "column", ["class", "Target", "category", "Is Anomaly", "state"]
)
def test_labels_in_another_column_are_refused(folder, column):
    rows = "a.png,ok\nb.png,not ok\n"
    message = refused(folder, f"path,{column}\n{rows}")
    assert f"got a column '{column.lower()}' and no column `label`" in message
    assert "rename it to label" in message
    # Beside labels, any column may have such values.
    (folder / "list.csv").write_text(
        f"path,{column},label\na.png,ok,good\nb.png,ok,bad\n"
    )
    assert len(read_folder(folder / "list.csv")) == 2
    (folder / "list.csv").write_text("path,note\na.png,ok\nb.png,blurred\n")
    assert len(read_folder(folder / "list.csv")) == 2


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


def test_a_split_is_given_in_every_row_or_none(folder):
    message = refused(folder, "path,split\na.png,test\nb.png,\n")
    assert "line 3: got no split; expected one in every row" in message


def test_masks_are_not_listed_as_pictures(folder):
    rows = "path,mask\nb_mask.png,\nb.png,./b_mask.png\n"
    message = refused(folder, rows)
    assert "line 2: " in message
    assert "b_mask.png is the mask of line 3" in message
    with pytest.raises(InputError, match="is the mask of line 3"):
        list_for_inspection(folder / "list.csv")


def test_a_json_list_may_be_named(folder):
    content = {"pictures": [{"path": "a.png", "label": 0}]}
    (folder / "list.json").write_text(json.dumps(content))
    assert read_data_set(folder / "list.json").layout == "list"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("../outside.png,good", "line 3: got ../outside.png, outside of"),
        ("..\\outside.png,good", "line 3: got ..\\outside.png, outside of"),
        ("link/outside.png,good", "line 3: got link/outside.png, outside of"),
        ("none.png,good", "line 3: none.png does not exist"),
        ("pipe,good", "line 3: got pipe; expected a file ending in"),
        ("folder.png,good", "line 3: folder.png does not exist, or is no"),
        ("a\0.png,good", "line 3: got a path with a zero byte"),
        (",good", "line 3: got no path"),
        ("a.png,good", "a.png is listed in line 2 as well"),
        ("./a.png,good", "a.png is listed in line 2 as well"),
        ("copy.png,good", "copy.png is listed in line 2 as well"),
        ("loop/a.png,good", "line 3: loop/a.png does not exist"),
        ("link/../b.png,", "line 3: got no label"),
        ("\\\\server\\a.png,good", "outside of"),
        ("b.png,", "line 3: got no label"),
        ("b.png,nromal", "got the label 'nromal'; expected normal"),
        ("b.png", "line 3: got 1 cells; expected 2"),
        ("b.png,good,1", "line 3: got 3 cells; expected 2"),
        ('"b.png,good', "is not CSV"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_named(folder, rows, message):
    (folder / "link").symlink_to(folder.parent)
    (folder / "folder.png").mkdir()
    (folder / "pipe").touch()
    (folder / "copy.png").symlink_to(folder / "a.png")
    (folder / "loop").symlink_to(folder / "loop")
    assert message in refused(folder, f"path,label\na.png,good\n{rows}\n")


def test_all_faulty_rows_are_named_at_once(folder):
    message = refused(folder, "path,label\nx.png,good\ny.png,\n")
    assert "3 of its rows cannot be used" in message
    assert message.count("\n") == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got 0 rows"),
        ("path,label\n", "got 0 rows"),
        ("name,label\na.png,good\n", "no column of paths"),
        ("path,path\na.png,b.png\n", "got the column 'path' twice"),
        ("path,image\na.png,b.png\n", "got the columns path, image"),
        ("path,split\na.png,dev\n", "got the split 'dev'; expected train"),
        ("path,mask\nb.png,none.png\n", "none.png does not exist"),
        ("path,mask\nb.png,../outside.png\n", "outside of"),
        ("path,label\na.png,x\nb.png,y\n", "expected a known one"),
        ("path,label\na.png,good\nb.png,ok\n", "each a name of normal"),
        (b"path\n\xff.png\n", "not UTF-8"),
    ],
)
def test_tables_that_are_not_understood(folder, content, message):
    assert message in refused(folder, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"path": "a.png", "path": "b.png"}]', "got the key 'path' twice"),
        ('[{"path": "a.png", "Path": "b.png"}]', "got the column 'path' twice"),
        ('{"pictures": [], "pictures": []}', "got the key 'pictures' twice"),
        ('{"rows": []}', "expected an array, or an object with the key"),
        ('["a.png"]', "picture 1: got a str; expected an object"),
        ('[{"path": ["a.png"]}]', "got path as a list; expected text"),
        ('[{"path": "a.png", "label": true}]', "got label as a bool"),
        ('[{"path": "a.png", "label": NaN}]', "not finite"),
        ('[{"path": "\\ud800.png"}]', "lone surrogate"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "got 0 rows"),
    ],
)
def test_json_that_is_not_understood(folder, content, message):
    assert message in refused(folder, content, ".json")


def test_huge_lists_are_refused(folder, monkeypatch):
    monkeypatch.setattr(tables, "_MOST_ROWS", 3)
    assert "more than 3 rows" in refused(folder, "path\n" + "a.png\n" * 9)
    items = [{"path": "a.png"}] * 9
    assert "expected 1 to 3" in refused(folder, json.dumps(items), ".json")
    monkeypatch.setattr(tables, "_LARGEST", 100)
    assert "expected at most 100" in refused(folder, "path\n" + "a.png\n" * 99)


def test_absolute_paths_may_lead_outside(folder):
    outside = folder.parent / "outside.png"
    (folder / "list.csv").write_text(f"path\na.png\n{outside}\n")
    pictures = read_folder(folder / "list.csv")
    assert [p.name for p in pictures] == ["a.png", "elsewhere/outside.png"]
    listing = list_for_inspection(folder / "list.csv")
    assert [listing.name(path) for path in listing.pictures] == [
        "a.png",
        "elsewhere/outside.png",
    ]


def test_the_normal_label_may_be_given(folder):
    (folder / "list.csv").write_text("path,label\na.png,A\nb.png,B\n")
    pictures = read_folder(folder / "list.csv", "B")
    assert [p.anomalous for p in pictures] == [True, False]


def test_lists_to_inspect_need_no_labels(folder):
    (folder / "list.csv").write_text("path,label\na.png,A\nb.png,B\n")
    assert len(list_for_inspection(folder / "list.csv").pictures) == 2
