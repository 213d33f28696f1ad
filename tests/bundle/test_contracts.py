"""Inputs and outputs of a bundle's graphs."""

import pytest
from pydantic import ValidationError

from anomedge.bundle.contracts import InputContract, OutputContract, batch_bytes


def test_a_fixed_batch_of_too_many_pixels_is_refused():
    InputContract(batch=2, height=16384, width=16384)
    InputContract(batch="dynamic", height=16384, width=16384)
    with pytest.raises(ValueError, match="at most 2 GiB"):
        InputContract(batch=3, height=16384, width=16384)


@pytest.mark.parametrize(
    "wrong",
    [{"dtype": "float32"}, {"resize": "outside"}, {"dtype": "float32", "resize": "inside"}],
)  # fmt: skip
def test_a_contract_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError):
        InputContract(height=8, width=8, **wrong)


def test_frames_of_a_fixed_size_state_no_resize():
    fixed = InputContract(height=4, width=6)
    assert "resize" not in fixed.model_dump()
    assert (fixed.frame, fixed.bytes_a_value) == ((4, 6), 1)
    outside = InputContract(
        height=4, width=6, dtype="float32", resize="outside"
    )
    assert outside.model_dump()["resize"] == "outside"
    assert outside.bytes_a_value == 4


def test_a_batch_of_float32_frames_takes_four_times_the_memory():
    assert batch_bytes(2, (4, 6)) == 144
    assert batch_bytes(2, (4, 6), 4) == 576
    large = {"height": 8192, "width": 8192, "batch": 4}
    InputContract(**large)
    with pytest.raises(ValidationError, match="at most 2 GiB"):
        InputContract(**large, dtype="float32", resize="outside")


@pytest.mark.parametrize(
    "wrong",
    [{"batch": 0}, {"batch": 4097}, {"batch": "many"}, {"height": 0}, {"width": 16385}, {"colour": "BGR"}, {"depth": 8}],
)  # fmt: skip
def test_inputs_that_no_export_writes_are_refused(wrong):
    with pytest.raises(ValidationError):
        InputContract(**({"height": 4, "width": 6} | wrong))


def test_an_output_has_at_most_three_sizes_beside_the_batch():
    assert OutputContract(name="anomaly_map", shape=(1, 4, 6)).shape[2] == 6
    assert OutputContract(name="score", shape=()).dtype == "float32"
    with pytest.raises(ValidationError):
        OutputContract(name="x", shape=(1, 1, 4, 6))
