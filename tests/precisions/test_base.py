"""Laws of all precisions: names of files, and tolerances of proofs."""

import pytest

from anomedge.precisions import PRECISIONS, Tolerance, written
from anomedge.precisions.base import FLOAT32_PIXELS, UINT8_PIXELS, Precision

BASE = Tolerance(score=1, map=2, batch=3, pixels=FLOAT32_PIXELS, stage=5)


def test_directory_is_the_registry():
    assert PRECISIONS.names() == [
        "bf16",
        "fp16",
        "fp16-storage",
        "fp32",
        "int8",
        "int8-storage",
        "tf32",
    ]
    assert not PRECISIONS.faults()


@pytest.mark.parametrize("name", PRECISIONS.names())
def test_each_states_a_positive_tolerance_and_a_summary(name):
    member = PRECISIONS.get(name)
    assert member.summary
    values = member.tolerance.model_dump().values()
    assert all(0 < value < 1 for value in values)
    assert member.tolerance.pixels >= FLOAT32_PIXELS


def test_no_precision_is_held_to_more_than_float32():
    fp32 = PRECISIONS.get("fp32").tolerance.model_dump()
    for name in PRECISIONS.names():
        tolerance = PRECISIONS.get(name).tolerance.model_dump()
        assert all(tolerance[field] >= fp32[field] for field in fp32), name


def test_names_of_files_differ_and_the_default_has_no_suffix():
    names = {
        name: member.file_name("model", ".onnx")
        for name, member in written().items()
    }
    assert names == {
        "fp16": "model.fp16.onnx",
        "fp16-storage": "model.fp16-storage.onnx",
        "fp32": "model.onnx",
        "int8": "model.int8.onnx",
        "int8-storage": "model.int8-storage.onnx",
    }


def test_only_the_halves_change_networks_or_storage():
    members = PRECISIONS.members()
    networks = {name for name in members if members[name].half_networks}
    stored = {name for name in members if members[name].half_storage}
    assert networks == {"fp16"}
    assert stored == {"fp16", "fp16-storage"}
    assert [n for n in members if members[n].int8_storage] == ["int8-storage"]


def test_the_default_edit_leaves_the_graph():
    graph = object()
    assert Precision.edit(graph, ["weight"]) is None


@pytest.mark.parametrize(
    ("stage", "tolerance"),
    [
        ("preprocessed", FLOAT32_PIXELS),
        ("rounded", UINT8_PIXELS),
        ("features/layer1", 5),
        ("score", 5),
    ],
)
def test_each_stage_has_its_tolerance(stage, tolerance):
    assert BASE.at(stage) == tolerance


@pytest.mark.parametrize(
    ("pixels", "more"), [(1e-3, 1e-3 - FLOAT32_PIXELS), (1e-7, 0)]
)
def test_coarser_pixels_add_to_the_rounding(pixels, more):
    coarse = BASE.model_copy(update={"pixels": pixels})
    assert coarse.at("rounded") == pytest.approx(UINT8_PIXELS + more)


def test_every_tolerance_is_widened():
    wide = BASE.widened(10).model_dump()
    assert wide == {k: 10 * v for k, v in BASE.model_dump().items()}
