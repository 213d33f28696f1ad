"""Numbers of bytes and of operations, with decimal prefixes."""

import pytest

from anomedge.commands._units import (
    format_bytes,
    format_quantity,
    format_share,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_250_000, "1.2 MB"), (999_000_000, "999.0 MB"), (1_500_000_000, "1.50 GB"), (2 * 10**12, "2000.00 GB")],
)  # fmt: skip
def test_bytes(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 FLOP"), (999, "999 FLOP"), (1e3, "1 kFLOP"), (1.234e6, "1.23 MFLOP"), (4.5e9, "4.5 GFLOP"), (6e15, "6e+03 TFLOP")],
)  # fmt: skip
def test_quantities_have_three_digits(value, text):
    assert format_quantity(value, "FLOP") == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (2.5, 10.0, "+25.0% of it"), (-1e4, 1e2, "-100 times it"), (1e308, 10.0, "+1e+307 times it"),
        (1e308, 1e-9, "more than 1e+308 times it"), (-1e308, 1e-9, "more than -1e+308 times it"), (float("inf"), 1.0, "more than 1e+308 times it"),
    ],
)  # fmt: skip
def test_shares_are_never_infinite(part, whole, text):
    assert format_share(part, whole, "it", sign="+") == text
