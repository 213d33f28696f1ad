"""Numbers of files left out, and of pictures without a label."""

from anomedge.commands._counts import counts_in_words, unlabelled_in_words


def test_reasons_follow_their_numbers():
    assert counts_in_words({"anomalous": 3, "masks": 1}) == (
        "3 anomalous, 1 masks"
    )
    assert counts_in_words({}) == ""


def test_at_most_eight_folders_are_named():
    assert unlabelled_in_words({}) == ""
    eight = {f"f{number}": number for number in range(8)}
    shown = unlabelled_in_words(eight)
    assert shown.startswith("unlabelled: all count as normal: f0 0, f1 1, ")
    assert shown.endswith("f7 7")
    more = unlabelled_in_words(eight | {"f8": 8, "f9": 9})
    assert more.endswith("f7 7, 2 other folders")


def test_names_of_folders_cannot_steer_a_terminal():
    assert "\\x1b[31m 2" in unlabelled_in_words({"\x1b[31m": 2})
