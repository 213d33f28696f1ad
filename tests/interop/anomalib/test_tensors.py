"""Tensors of a file: checked before and after they are loaded."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.foreign import Taken
from anomedge.interop.anomalib.tensors import (
    loaded,
    refuse_misshapen,
    said_precision,
    tensor_of,
)
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import errors_of, taken_from
from tests.interop.anomalib.files import Source, foreign


def test_half_precision_is_widened_and_said(tmp_path):
    state = builder.model_state("patchcore", torch.float16)
    content = builder.checkpoint_27("patchcore", state)
    path = builder.saved(content, tmp_path)
    imported = import_native(path)
    assert taken_from(imported, "precision of the bank") == ["computed"]
    assert max(errors_of(imported.pipeline, path, builder.SIZE)) < 1e-5


def test_a_tensor_has_its_name_its_values_and_its_dimensions():
    file = foreign({"a": torch.ones(2, 3)})
    assert tensor_of(file, "a", 2, "bank").shape == (2, 3)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, r"got no tensor a \(bank\)"),
        ({"a": torch.ones(0, 3)}, "got an empty tensor a .* not fitted"),
        ({"a": torch.ones(3)}, r"of shape \(3,\); expected 2 dimensions"),
    ],
)
def test_missing_empty_and_flat_tensors_are_refused(tensors, said):
    with pytest.raises(ModelError, match=said):
        tensor_of(foreign(tensors), "a", 2, "bank")


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64]
)
def test_values_are_loaded_in_float32(dtype):
    values = loaded(Source(torch.tensor([0.5, -2.0], dtype=dtype)), "a")
    assert values.dtype == torch.float32
    assert values.tolist() == [0.5, -2.0]
    assert loaded(Source(torch.empty(0)), "a").numel() == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.ones(2, dtype=torch.int32), "of torch.int32; expected floating"),
        (torch.tensor([1.0, float("nan")]), "not finite"),
        (torch.tensor([1.0, -float("inf")]), "not finite"),
        (torch.tensor([1e300], dtype=torch.float64), "not finite"),
    ],
)
def test_values_that_are_no_numbers_are_refused(value, said):
    with pytest.raises(ModelError, match=said):
        loaded(Source(value), "a")


EXPECTED = {"a": torch.ones(2), "b.count": torch.ones(1)}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"b.count": torch.ones(1)}, "got no tensor a of resnet"),
        ({"a": torch.ones(3)}, r"a of shape \(3,\); expected \(2,\), as in resnet"),
        ({"a": torch.ones(2), "z": torch.ones(1)}, "got tensor z, which resnet"),
    ],
)  # fmt: skip
def test_tensors_of_another_network_are_named(found, said):
    sources = {name: Source(value) for name, value in found.items()}
    with pytest.raises(ModelError, match=said):
        refuse_misshapen(sources, EXPECTED, ("count",), "resnet")


def test_optional_tensors_may_be_missing():
    refuse_misshapen({"a": Source(torch.ones(2))}, EXPECTED, ("count",), "x")


def test_only_other_precisions_are_said():
    taken = Taken()
    said_precision("bank", [torch.float32, torch.int64], taken)
    assert list(taken) == []
    said_precision(
        "bank", [torch.float16, torch.bfloat16, torch.float16], taken
    )
    (line,) = taken
    assert line.what == "precision of the bank"
    assert line.value.startswith("float32, converted from bfloat16, float16;")
