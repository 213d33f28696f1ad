"""The tables of inspect: detectors, parts of frames, thresholds, certificates, ranges, tensors."""

from types import SimpleNamespace

import pytest

from anomedge.bundle.anatomy import StageAnatomy
from anomedge.bundle.ranges import Range
from anomedge.commands import _bundle_tables as tables
from anomedge.parity.stored import StoredCertificate
from tests.commands.rendering import rows_of, text_of
from tests.parity.examples import DECISION
from tests.parity.rows import cell, certificate, contract


def model_content(**changed):
    given = {
        "detector": "padim",
        "config": {"backbone": "resnet18", "layers": ["layer1", "layer2"]},
        "decision": DECISION.model_dump(mode="json"),
        "card": {
            "weights": "imagenet",
            "fitted": ["a", "b", "c"],
            "seed": 7,
            "tools": {"torch": "2.9"},
            "licence": {"weights": "BSD"},
        },
        "geometry": {"size": (256, 320), "crop": None},
    }
    return given | changed


def model_rows(**changed):
    table = tables.model(model_content(**changed))
    return dict(rows_of(table))


def test_a_model_has_its_detector_threshold_and_record():
    rows = model_rows()
    assert rows["detector"] == "padim on resnet18, weights imagenet"
    assert rows["layers"] == "layer1, layer2"
    assert rows["image"] == "stretched to 256x320"
    assert rows["threshold"] == "40, pixels 30: false-alarm rate 0.01"
    assert rows["fitted to"] == "3 pictures, seed 7"
    assert rows["made by"] == "torch 2.9"
    assert not {"region", "tiles", "outliers", "sensitivity"} & rows.keys()


def test_a_model_without_a_backbone_or_a_map_is_short():
    decision = DECISION.model_copy(update={"pixel_threshold": None})
    rows = model_rows(config={}, decision=decision.model_dump(mode="json"))
    assert rows["detector"] == "padim, weights imagenet"
    assert "layers" not in rows
    assert rows["threshold"] == "40: false-alarm rate 0.01"


def test_parts_of_the_frame_are_described():
    rows = model_rows(
        geometry={
            "size": (256, 320),
            "crop": (224, 288),
            "region": (0.25, 0, 1, 0.5),
            "tiling": {"tile": (112, 144), "overlap": 8},
            "levels": (100, 4000),
        },
        config={"masked": True},
    )
    assert rows["image"] == (
        "levels 100 to 4000 mapped to 8 bits; stretched to 256x320, middle 224x288 kept"
    )
    assert rows["region"] == (
        "rows 25.00% to 100.00%, columns 0.00% to 50.00% of the frame, with a mask"
    )
    assert rows["tiles"].startswith("3 x 3 tiles of 112x144, overlapping by 8")


def test_an_imported_model_was_fitted_to_unknown_pictures():
    card = model_content()["card"] | {"imported": "d" * 64, "fitted": []}
    rows = model_rows(card=card)
    assert rows["fitted to"] == f"unknown pictures, in the file of SHA-256 {'d' * 64}"  # fmt: skip


def test_defects_and_outliers_of_the_sample_are_shown():
    decision = DECISION.model_dump(mode="json")
    decision["origin"] |= {
        "sensitivity": {
            "defects": 40, "auroc": 0.98765, "false_alarms": 0.05,
            "caught": 0.75, "kinds": {}, "rows": [],
        },
        "outliers": ["a.png", "b.png"],
    }  # fmt: skip
    rows = model_rows(decision=decision)
    assert rows["sensitivity"] == (
        "75% of 40 synthetic defects caught at 5.0% false alarms, AUROC 0.988"
    )
    assert rows["outliers"] == "a.png, b.png"


def test_tensors_of_a_network_share_a_row():
    found = [
        {"name": "extractor.a", "shape": [8], "dtype": "F32", "bytes": 1500},
        {"name": "extractor.b", "shape": [8], "dtype": "F32", "bytes": 500},
        {"name": "mean", "shape": [3, 4], "dtype": "F32", "bytes": 48},
    ]
    assert rows_of(tables.tensors(found, ["extractor"])) == [
        ["mean", "3x4", "F32", "48 B"],
        ["extractor (2 tensors)", "", "", "2.0 kB"],
    ]


def test_stages_are_added_up():
    parts = [
        StageAnatomy("preprocessed", (None, 3, 8), {"Mul": 2}, 0),
        StageAnatomy("score", (None,), {"ReduceMax": 1, "Mul": 1}, 4000),
    ]
    assert rows_of(tables.stages("fp32", parts)) == [
        ["preprocessed", "Bx3x8", "2", "0 B", "2 Mul"],
        ["score", "B", "2", "4.0 kB", "1 ReduceMax, 1 Mul"],
        ["all", "", "4", "4.0 kB", ""],
    ]


def test_ranges_leave_out_numbers_that_are_not_known():
    found = [
        Range(part="backbone", name="a", halved=True, seen=12.5),
        Range(part="head", name="b", bound=1e6, least=1e-6),
    ]
    assert rows_of(tables.ranges(found)) == [
        ["halved", "a", "12.5", "", "", "fits"],
        ["if lowered", "b", "", "1e+06", "1e-06", "may overflow"],
    ]


def stored(name="host.json", proof=None, objection=""):
    return StoredCertificate(name, proof, objection)


def test_certificates_have_their_worst_errors_and_their_verdict():
    proof = certificate(
        cells=(cell(), cell(runtime="ov", score_error=5e-5)),
        checks=(*contract(), *contract("ov")),
    )
    table = tables.certificates(
        [stored(proof=proof), stored("x.json", None, "not a certificate")]
    )
    assert rows_of(table) == [
        ["host.json", "eager torch", "ort fp32, ov fp32", "1", "5.0e-05", "2.0e-06", "passed"],
        ["x.json", "", "", "", "", "", "ignored: not a certificate"],
    ]  # fmt: skip


def test_without_a_map_there_is_no_column_of_it():
    proof = certificate(
        cells=(cell(map_error=None, mask_iou=None),),
        checks=tuple(c for c in contract() if "map" not in c.name),
    )
    table = tables.certificates([stored(proof=proof)], has_map=False)
    assert rows_of(table)[0][4:] == ["1.0e-06", "passed"]
    assert "worst map" not in text_of(table)


def test_a_name_in_letters_of_another_script_is_escaped():
    table = tables.certificates([stored("h\u043est.json", None, "no")])
    assert rows_of(table)[0][0] == "h\\u043est.json"


def test_a_bundle_without_certificates_was_not_proven():
    assert "anomedge verify" in tables.certificates([])


def test_golden_files_share_a_row():
    def record(size):
        return SimpleNamespace(bytes=size, sha256="a" * 64)

    files = {
        "model.onnx": record(5000),
        "golden/1.png": record(100),
        "golden/2.png": record(200),
    }
    bundle = SimpleNamespace(manifest=SimpleNamespace(files=files))
    assert rows_of(tables.files(bundle)) == [
        ["model.onnx", "5.0 kB", "a" * 16],
        ["golden/ (2 files)", "300 B", ""],
        ["all", "5.3 kB", ""],
    ]


@pytest.mark.parametrize(
    ("resize", "text"),
    [
        (None, "frames: uint8 (dynamic, 96, 128, 3) RGB"),
        ("outside", "frames: float32 (dynamic, 96, 128, 3) RGB, resized outside the graph from pictures of any size"),
    ],
)  # fmt: skip
def test_the_contract_states_the_input(resize, text):
    from anomedge.bundle import InputContract, OutputContract
    from anomedge.resample import Geometry

    given = InputContract(
        height=96,
        width=128,
        dtype="float32" if resize else "uint8",
        resize=resize,
    )
    manifest = SimpleNamespace(
        detector="padim",
        config={"backbone": "resnet18", "layers": ["layer1"]},
        digest="0" * 64,
        input=given,
        outputs=[OutputContract(name="score", shape=())],
        has_map=False,
        image=SimpleNamespace(size=(64, 80), crop=(64, 72)),
        geometry=Geometry((64, 80), (64, 72)),
        levels=None,
        variants={"fp32": None, "fp16": None},
        opset=17,
        golden=[1, 2],
        search=None,
        golden_source="synthetic",
        tools={"torch": "2.9"},
        licence={"weights": "BSD"},
    )
    table = tables.contract(SimpleNamespace(manifest=manifest))
    rows = dict(rows_of(table))
    assert rows["input"] == text
    assert rows["image"] == "stretched to 64x80, middle 64x72 kept"
    assert rows["output"] == "score: float32 (B)"
    assert rows["variants"] == "fp32, fp16; ONNX opset 17"
    stated = "as the bundle states, not proven"
    assert rows["golden"] == f"2 frames (synthetic), names and labels {stated}"
    assert rows["made by"] == f"torch 2.9 ({stated})"


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"backbone": "resnet18"}, "padim on resnet18"),
        ({"description": "Dfkde"}, "padim Dfkde"),
        ({}, "padim"),
    ],
)
def test_a_detector_is_named_with_its_backbone_or_module(config, shown):
    assert tables._detector("padim", config) == shown


def test_tensors_of_an_inner_network_share_a_row():
    names = ("module.net.a", "module.net.b.c", "module.other", "mean")
    found = [
        {"name": name, "shape": [2], "dtype": "float32", "bytes": 8}
        for name in names
    ]
    said = text_of(tables.tensors(found, ["module.net"]))
    assert "module.net (2 tensors) 16 B" in said
    assert "module.other 2 float32 8 B" in said
    assert "module.net.a" not in said
