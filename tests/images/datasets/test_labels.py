"""Labels as people write them; ambiguous ones are refused."""

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder, read_normal
from anomedge.images.datasets.labels import (
    kind_of_label,
    normal_label_among,
    similar_label,
)
from tests.images.layouts import photo, two_labels


@pytest.mark.parametrize("names", [("good", "ok"), ("ok", "normal")])
def test_two_names_of_normal_pictures_are_ambiguous(tmp_path, names):
    two_labels(tmp_path, *names)
    with pytest.raises(InputError, match=r"each a name of normal pictures"):
        read_folder(tmp_path)
    assert len(read_normal(tmp_path, names[0])) == 4


def test_digits_are_labels_only_as_a_pair(tmp_path):
    two_labels(tmp_path, "0", "1")
    assert len(read_normal(tmp_path)) == 4
    photo(tmp_path / "2/a.png")
    assert {p.anomalous for p in read_folder(tmp_path)} == {None}


@pytest.mark.parametrize(
    ("labels", "given", "expected"),
    [
        (["OK", "scratch"], None, "OK"),
        (["Defect-Free", "dent"], None, "Defect-Free"),
        (["0", "1"], None, "0"),
        (["0", "1", "2"], None, None),
        (["front", "back"], None, None),
        (["front", "back"], "Front", "front"),
        (["ok", "OK"], "OK", "OK"),
        ([], None, None),
    ],
)
def test_the_label_of_normal_pictures(labels, given, expected):
    assert normal_label_among(labels, given, "here") == expected


@pytest.mark.parametrize("given", ["x", "Ok"])
def test_a_given_label_must_name_one(given):
    with pytest.raises(InputError, match="here: got the normal label"):
        normal_label_among(["ok", "OK"], given, "here")


def test_general_labels_name_no_kind_of_defect():
    assert [kind_of_label(text) for text in ("1", "Not-OK", " dent ")] == [
        "",
        "",
        "dent",
    ]


def test_a_misspelled_label_has_a_known_one_beside_it():
    assert similar_label("anomalus") == "anomalous"
    assert similar_label("Not OK") is None
