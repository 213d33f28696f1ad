"""Values of an exported graph's constants, in the file and beside it."""

import io

import numpy as np
import pytest
from onnx import TensorProto, helper

from anomedge.errors import ModelError
from anomedge.files import sha256_of_bytes
from anomedge.interop.anomalib.onnx_content import Place
from anomedge.interop.anomalib.onnx_values import (
    Files,
    GraphTensor,
    opened_files,
    refuse_deep,
)

NO_FILES = Files(io.BytesIO(), {}, {})


def beside(location, *, offset="0", count=1):
    """A tensor of float32 with its values in a file."""
    tensor = TensorProto(name="w", dims=[count], data_type=1, data_location=1)
    for key, value in (("location", location), ("offset", offset)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def loaded(tensor, folder):
    with opened_files(io.BytesIO(), folder, [tensor]) as files:
        return GraphTensor(tensor, files).load()


def test_numbers_that_are_stored_one_by_one_are_read():
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.5, -2.0])
    assert GraphTensor(tensor, NO_FILES).load().tolist() == [1.5, -2]
    tensor.dims[0] = 3
    with pytest.raises(ModelError, match=r"with values of shape \(3,\)"):
        GraphTensor(tensor, NO_FILES).load()


def test_raw_values_are_read_from_their_place():
    values = np.array([3, 4], np.float32).tobytes()
    place = Place(start=5, size=8).packed
    tensor = TensorProto(name="w", dims=[2], data_type=1, raw_data=place)
    files = Files(io.BytesIO(b"12345" + values), {}, {})
    assert GraphTensor(tensor, files).load().tolist() == [3, 4]
    tensor.dims[0] = 3
    with pytest.raises(ModelError, match="of 8 bytes, not 12"):
        GraphTensor(tensor, files).load()


@pytest.mark.parametrize("offset", ["-1", "1e3", "\u0661", "1" * 16, "0x0"])
def test_offsets_are_decimal_numbers(tmp_path, offset):
    (tmp_path / "w.bin").write_bytes(bytes(8))
    with pytest.raises(ModelError, match="at offset"):
        loaded(beside("w.bin", offset=offset), tmp_path)


def test_values_beside_the_graph_begin_at_their_offset(tmp_path):
    values = np.array([9, 1, 2], np.float32)
    (tmp_path / "w.bin").write_bytes(values.tobytes())
    tensor = beside("w.bin", offset="4", count=2)
    assert loaded(tensor, tmp_path).tolist() == [1, 2]


def test_digests_are_of_whole_files(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"whole")
    with opened_files(io.BytesIO(), tmp_path, [beside("w.bin")]) as files:
        assert files.digests == {"w.bin": sha256_of_bytes(b"whole")}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/hostname", "a\n"])
def test_names_of_other_folders_are_refused(tmp_path, name):
    with (
        pytest.raises(ModelError, match="not beside the graph"),
        opened_files(io.BytesIO(), tmp_path, [beside(name)]),
    ):
        pass


def test_many_dimensions_are_refused():
    refuse_deep(TensorProto(dims=[1] * 16))
    with pytest.raises(ModelError, match="of 17 dimensions"):
        refuse_deep(TensorProto(dims=[1] * 17))
