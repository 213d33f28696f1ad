"""Tensors of a model file: their places in it, and their types."""

import hashlib

import numpy as np
import pytest
import torch

from anomedge.errors import ModelError
from anomedge.files import JsonError
from anomedge.pipelines.model import load
from anomedge.pipelines.stored_tensors import (
    TensorEntry,
    read_tensors,
    tensor_entries,
)
from tests.pipelines.model_files import rewritten


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda entry: entry.update(data_offsets=[entry["data_offsets"][0] + 4, entry["data_offsets"][1]]), "lies at bytes"),
        (lambda entry: entry.update(data_offsets=[0, 4]), "lies at bytes"),
        (lambda entry: entry.update(data_offsets=entry["data_offsets"][::-1]), "lies at bytes"),
        (lambda entry: entry.update(data_offsets=[-4, 0]), "greater than or equal to 0"),
        (lambda entry: entry.update(shape="64"), "shape"),
        (lambda entry: entry.update(more=1), "more"),
    ],
)  # fmt: skip
def test_tensors_that_overlap_or_leave_gaps_are_refused(
    model_paths, tmp_path, change, match
):
    path = tmp_path / "model.safetensors"
    path.write_bytes(
        rewritten(
            model_paths["padim"],
            lambda header, _: change(header["gaussian.mean"]),
        )
    )
    with pytest.raises(ModelError, match=match):
        load(path)


@pytest.mark.parametrize("wrong", [-1, 1])
def test_models_of_another_length_are_refused(model_paths, tmp_path, wrong):
    data = model_paths["padim"].read_bytes()
    path = tmp_path / "model.safetensors"
    path.write_bytes(data[:-1] if wrong < 0 else data + b"\0")
    with pytest.raises(
        ModelError,
        match=r"got \d+ bytes of tensors; expected \d+\); expected a whole model",
    ):
        load(path)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return TensorEntry(dtype=dtype, shape=shape, data_offsets=offsets)


@pytest.mark.parametrize(
    ("stored", "own", "suits"),
    [
        ("F32", torch.float32, True),
        ("F32", torch.float16, True),
        ("F16", torch.float16, True),
        ("F16", torch.float32, False),
        ("F64", torch.float32, False),
        ("I32", torch.float32, False),
        ("I64", torch.int32, True),
        ("BOOL", torch.int64, True),
        ("F32", torch.int64, False),
        ("F8", torch.float32, False),
    ],
)
def test_stored_types_that_suit_a_tensor(stored, own, suits):
    tensor = torch.zeros(2, dtype=own)
    assert entry(stored).has_type_of(tensor) == suits


def test_the_metadata_is_no_tensor():
    stated = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    found = tensor_entries({"__metadata__": {"anomedge": "{}"}, "a": stated})
    assert found == {"a": entry()}
    with pytest.raises(JsonError):
        tensor_entries({"a": "F32"})


def test_tensors_are_read_in_the_order_of_the_file_and_hashed(tmp_path):
    path = tmp_path / "tensors"
    floats = np.arange(2, dtype=np.float32)
    content = floats.tobytes() + b"\1\2\3"
    path.write_bytes(b"header" + content)
    stated = {"b": entry("U8", (3, 1), (8, 11)), "a": entry()}
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(6)
        found = read_tensors(file, stated, digest)
    assert found["a"].tolist() == [0, 1]
    assert found["b"].tolist() == [[1], [2], [3]]
    assert digest.digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    "stated",
    [
        {"a": entry(offsets=(1, 9))},
        {"a": entry(shape=(3,))},
        {"a": entry(), "b": entry()},
        {},
    ],
    ids=["gap", "shape", "overlap", "left over"],
)
def test_positions_are_checked_before_anything_is_read(tmp_path, stated):
    path = tmp_path / "tensors"
    path.write_bytes(bytes(8))
    with path.open("rb") as file:
        with pytest.raises(ValueError, match="expected"):
            read_tensors(file, stated, hashlib.sha256())
        assert file.tell() == 0
