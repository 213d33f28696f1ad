"""Rows of lists that cannot be trusted are refused by line."""

import pytest

from anomedge.errors import InputError
from anomedge.images import list_for_inspection, read_folder
from tests.images.lists import refused


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
        ("name,label\na.png,good\n", "no column of paths"),
        ("path,image\na.png,b.png\n", "got the columns path, image"),
        ("path,split\na.png,dev\n", "got the split 'dev'; expected train"),
        ("path,mask\nb.png,none.png\n", "none.png does not exist"),
        ("path,mask\nb.png,../outside.png\n", "outside of"),
        ("path,label\na.png,x\nb.png,y\n", "expected a known one"),
        ("path,label\na.png,good\nb.png,ok\n", "each a name of normal"),
    ],
)
def test_tables_that_are_not_understood(folder, content, message):
    assert message in refused(folder, content)


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
