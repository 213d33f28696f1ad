"""Tolerances of this release: known precisions, and widening within limits."""

import pytest

from anomedge.errors import InputError
from anomedge.parity.tolerances import TOLERANCES, release_tolerance
from anomedge.precisions import PRECISIONS


def test_every_precision_has_tolerances():
    assert set(TOLERANCES) == set(PRECISIONS.names())
    assert len(TOLERANCES) == len(PRECISIONS.names())
    assert release_tolerance("fp32") == TOLERANCES["fp32"]


@pytest.mark.parametrize("factor", [1, 2.5, 100])
def test_every_tolerance_is_widened_alike(factor):
    plain, wide = TOLERANCES["fp16"], release_tolerance("fp16", factor)
    for name in ("score", "map", "batch", "stage"):
        widened = getattr(plain, name) * factor
        assert getattr(wide, name) == pytest.approx(widened)


@pytest.mark.parametrize("factor", [0, 0.99, 100.1, -1, float("nan")])
def test_factors_out_of_range_are_refused(factor):
    with pytest.raises(InputError, match="a factor from 1 to 100"):
        release_tolerance("fp32", factor)


def test_an_unknown_precision_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"got precision 'int4'; .*fp32"):
        release_tolerance("int4")
