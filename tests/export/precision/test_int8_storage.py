"""Blocks of INT8: bound of the error, odd lengths, and graphs that compute with the stored values."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from anomedge.errors import ExportError
from anomedge.export.precision.int8_storage import (
    BLOCK,
    quantised_blocks,
    store_int8,
)
from tests.export.passes.graphs import product_graph, random, run


def restored_from(stored, scales, shape):
    """Return the values that a graph computes with."""
    values = (stored.astype(np.float32) - 128) * scales
    return values.reshape(-1)[: np.prod(shape)].reshape(shape)


@given(
    rows=st.integers(1, 3), n=st.integers(1, 3 * BLOCK), seed=st.integers(0, 99)
)
def test_no_value_is_further_off_than_half_a_step_of_its_block(rows, n, seed):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, n)).astype(np.float32)
    stored, scales = quantised_blocks(values)
    restored = restored_from(stored, scales, values.shape)
    steps = restored_from(np.full_like(stored, 129), scales, values.shape)
    assert (np.abs(restored - values) <= 0.501 * steps).all()
    assert np.abs(stored.astype(int) - 128).max() == 127


def test_zeros_stay_zeros():
    stored, scales = quantised_blocks(np.zeros((2, BLOCK + 1), np.float32))
    assert not restored_from(stored, scales, (2, BLOCK + 1)).any()


@pytest.mark.parametrize("columns", [BLOCK, BLOCK + 3])
def test_a_graph_computes_with_the_stored_values(columns):
    weights = random(20, 40, columns)
    rounded = restored_from(*quantised_blocks(weights), weights.shape)
    proto = product_graph(weights)
    store_int8(proto, ["w"])
    onnx.checker.check_model(proto, full_check=True)
    (stored,) = [x for x in proto.graph.initializer if x.name == "w.bytes"]
    assert stored.data_type == TensorProto.UINT8
    x = random(20, 3, 40)
    expected = run(product_graph(rounded), x)
    np.testing.assert_allclose(run(proto, x), expected, atol=1e-5)


def test_short_rows_take_no_more_than_long_ones():
    for shape in ((1536, 8, 8), (3, 32768)):
        stored, scales = quantised_blocks(random(*shape))
        assert stored.nbytes + scales.nbytes < 0.27 * 4 * np.prod(shape)


@pytest.mark.parametrize(
    ("shape", "name"), [((20, 40, 64), "v"), ((2, 8, 8), "w")]
)
def test_a_graph_without_large_statistics_is_refused(shape, name):
    proto = product_graph(random(*shape))
    before = proto.SerializeToString()
    with pytest.raises(ExportError, match="expected tensors of 64 KiB or more"):
        store_int8(proto, [name])
    assert proto.SerializeToString() == before
