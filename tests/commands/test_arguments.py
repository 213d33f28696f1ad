"""Arguments of the verbs: sizes, batches and options of several values."""

import pytest

from anomedge.commands._arguments import (
    IS_VALUE,
    parse_batch,
    parse_frame,
    parse_size,
    spread_values,
)
from anomedge.errors import InputError


def test_several_values_after_one_option():
    assert spread_values(["--batch", "1", "8", "--json"]) == [
        "--batch",
        "1",
        "--batch",
        "8",
        "--json",
    ]
    assert spread_values(["--runtime", "ort", "b.anomedge"]) == [
        "--runtime",
        "ort",
        "b.anomedge",
    ]
    assert spread_values(["b", "--batch", "1", "--runtime", "ort", "ov"]) == [
        "b", "--batch", "1", "--runtime", "ort", "--runtime", "ov",
    ]  # fmt: skip
    with pytest.raises(InputError):
        parse_batch("0")
    with pytest.raises(InputError):
        parse_size("1x2x3")


def test_sizes_are_read():
    assert parse_size("1080x1920") == (1080, 1920)


@pytest.mark.parametrize("text", ["480", "480x", "480 x 640", "-1x2", "1x100000", "\u0664x4.5"])  # fmt: skip
def test_other_forms_of_sizes_are_refused(text):
    for parse, more in ((parse_size, ""), (parse_frame, ", or any")):
        with pytest.raises(InputError) as error:
            parse(text)
        assert str(error.value).endswith(f"such as 480x640{more}")


def test_a_frame_may_be_any():
    assert parse_frame("any") == "any"
    assert parse_frame("9X12") == (9, 12)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", ""])
def test_other_forms_of_batches_are_refused(text):
    with pytest.raises(InputError, match="expected 'dynamic' or a number"):
        parse_batch(text)


def test_the_first_value_is_never_checked_and_others_end_at_the_first_other():
    letters = {"--kind": str.isalpha, "--count": str.isdecimal}
    given = ["--kind", "1", "a", "2", "b", "--count", "3", "4"]
    assert spread_values(given, letters) == [
        "--kind", "1", "--kind", "a", "2", "b", "--count", "3", "--count", "4",
    ]  # fmt: skip
    assert spread_values(["--kind"], letters) == ["--kind"]


@pytest.mark.parametrize(
    ("option", "value", "other"),
    [
        ("--batch", "8", "part.anomedge"),
        ("--precision", "fp16", "part"),
        ("--runtime", "ov", "part"),
        ("--target", "rtx", "part"),
    ],
)
def test_values_of_each_option_are_told_from_other_arguments(
    option, value, other
):
    assert IS_VALUE[option](value)
    assert not IS_VALUE[option](other)
