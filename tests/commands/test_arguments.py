"""Arguments of the verbs: sizes, batches and options of several values."""

import pytest

from anomedge.commands._arguments import parse_batch, parse_size, spread_values
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
