"""Tables of pictures in CSV and JSON."""

import json

import pytest

from anomedge.images import read_folder, tables
from tests.images.lists import refused


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_of_spreadsheets(folder, delimiter):
    rows = [["Path", "Label", ""], ["a.png", "0", ""], ["b.png", "1", ""]]
    text = "\ufeff" + "\r\n".join(delimiter.join(row) for row in rows) + "\r\n"
    (folder / "list.csv").write_bytes(text.encode())
    pictures = read_folder(folder / "list.csv")
    assert [p.anomalous for p in pictures] == [False, True]


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got 0 rows"),
        ("path,label\n", "got 0 rows"),
        ("path,path\na.png,b.png\n", "got the column 'path' twice"),
        (b"path\n\xff.png\n", "not UTF-8"),
    ],
)
def test_tables_that_are_not_understood(folder, content, message):
    assert message in refused(folder, content)
