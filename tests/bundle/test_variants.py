import pytest
from pydantic import ValidationError

from anomedge.bundle import Variant
from anomedge.errors import BundleError

# As written by releases before roles and formats.
EARLIER = {
    "onnx": "model.onnx",
    "stages": "stages.onnx",
    "segments": "segments.onnx",
    "openvino": "openvino/model.xml",
    "anomalib_onnx": "anomalib.onnx",
    "anomalib_openvino": None,
}


def test_a_variant_of_an_earlier_release_is_read_by_role_and_format():
    variant = Variant.model_validate(EARLIER)
    assert variant.graph() == "model.onnx"
    assert variant.graph(role="stages", format="onnx") == "stages.onnx"
    assert variant.graph("segments") == "segments.onnx"
    assert variant.graph(format="openvino") == "openvino/model.xml"
    assert variant.graph("anomalib") == "anomalib.onnx"
    assert variant.find("anomalib", "openvino") is None
    assert variant.layouts() == ("anomalib",)


def test_the_written_keys_are_those_of_earlier_releases():
    variant = Variant.model_validate(EARLIER)
    graphs = {
        ("model", "onnx"): "model.onnx",
        ("model", "openvino"): "openvino/model.xml",
        ("stages", "onnx"): "stages.onnx",
        ("segments", "onnx"): "segments.onnx",
        ("anomalib", "onnx"): "anomalib.onnx",
    }
    assert Variant.of(graphs).model_dump() == {
        key: file for key, file in EARLIER.items() if file
    }
    assert Variant.of(graphs) == variant


def test_files_are_listed_by_format_and_role():
    variant = Variant(
        zoo_onnx="z.onnx", bgr_onnx="b.onnx", bgr_openvino="b.xml", **EARLIER
    )
    assert variant.files() == (
        "model.onnx", "stages.onnx", "segments.onnx", "anomalib.onnx", "b.onnx", "z.onnx",
        "openvino/model.xml", "b.xml",
    )  # fmt: skip


def test_a_role_takes_the_models_place():
    variant = Variant.model_validate(EARLIER)
    assert variant.with_model("segments").graph() == "segments.onnx"
    assert variant.with_model("segments").find(format="openvino") is None
    with pytest.raises(BundleError, match="got graph 'bgr' as onnx"):
        variant.with_model("bgr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"onnx": None}, "onnx"),
        ({"tensorrt": "model.engine"}, "<role>_<format>"),
        ({"bgr_engine": "bgr.engine"}, "<role>_<format>"),
        ({"_onnx": "model.onnx"}, "<role>_<format>"),
        ({"segments": None, "segments_onnx": "s.onnx"}, "<role>_<format>"),
        ({f"r{i}_onnx": "r.onnx" for i in range(64)}, "at most 64 graphs"),
        ({"model_onnx": "other.onnx"}, "<role>_<format>"),
        ({"stages_onnx": "other.onnx"}, "<role>_<format>"),
        ({"segments_openvino": "other.xml"}, "<role>_<format>"),
    ],
)
def test_other_keys_and_missing_graphs_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Variant.model_validate(EARLIER | change)
