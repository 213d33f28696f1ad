"""Files that nothing proves."""

import pytest

from anomedge.bundle import Bundle
from anomedge.parity.stowaways import stowaways
from tests.commands.running import run
from tests.parity.forging import ONE, sign, statement


def test_a_bundle_of_the_export_has_none(bundle):
    assert list(stowaways(bundle.manifest)) == []


@pytest.mark.parametrize(
    "name",
    [
        "better.onnx", "better.ONNX", "model.Onnx", "model.ort", "model.engine", "model.plan", "model.tflite",
        "openvino/model.blob", "openvino/model.XML", "x.DATA", "stages.onnx.data", "model.bin", "certificates.json",
        "README.md", "golden/999.png", "golden/001/other.npy", "golden/000.PNG", "golden/model.onnx",
    ],
)  # fmt: skip
def test_other_files_are_named(copy, name):
    (copy / name).write_bytes(b"hello")
    assert list(stowaways(sign(copy).manifest)) == [
        f"{name} is named by no variant and no golden frame, so nothing proves it"
    ]


def test_weights_beside_the_graphs_are_known(copy):
    (copy / "model.onnx.data").write_bytes(b"hello")
    assert list(stowaways(sign(copy).manifest)) == []


def test_golden_files_without_an_entry_are_named(copy):
    golden = statement(copy, "golden")
    manifest = sign(copy, golden=golden[:-1]).manifest
    named = [line.partition(" ")[0] for line in stowaways(manifest)]
    assert golden[-1]["frame"] in named
    assert all(name.startswith("golden/") for name in named)


def test_a_graph_has_the_name_of_its_format(copy):
    (copy / "openvino/model.xml").rename(copy / "openvino/model.XML")
    variants = statement(copy, "variants")
    variants["fp32"]["openvino"] = "openvino/model.XML"
    assert (
        "openvino/model.XML is a graph as openvino; expected a name with .xml"
        in list(stowaways(sign(copy, variants=variants).manifest))
    )


@pytest.mark.slow
def test_a_proof_fails(copy, capfd):
    (copy / "model.engine").write_bytes(b"hello")
    sign(copy)
    assert run("verify", copy, *ONE) == 3
    assert "bundle graphs: model.engine is named" in capfd.readouterr().err
    assert Bundle.open(copy)
