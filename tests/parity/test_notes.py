"""What a proof leaves out is said in its verdict, and made again from the bundle."""

from anomedge.bundle import Bundle
from anomedge.parity.notes import NOT_RUN, notes_on
from tests.conftest import RUNTIMES
from tests.parity.forging import sign, statement

ALL = {(name, "fp32") for name in RUNTIMES}


def test_variants_that_were_not_run_are_said(copy, proven):
    fp32 = statement(copy, "variants")["fp32"]
    certificate = proven(sign(copy, variants={"fp32": fp32, "fp16": fp32}))
    assert "not run: the bundle's variants fp16" in certificate.cautions
    assert "not run: openvino/model.xml" in certificate.cautions


def test_notes_on_parts_that_were_not_run_begin_alike(copy):
    fp32 = statement(copy, "variants")["fp32"]
    manifest = sign(copy, variants={"fp32": fp32, "fp16": fp32}).manifest
    notes = [*notes_on(manifest, {(RUNTIMES[0], "fp32")}, None)]
    assert len(notes) == 2
    assert all(note.startswith(NOT_RUN) for note in notes)


def test_a_frame_of_few_pixels_is_said(copy):
    bundle = Bundle.open(copy)
    frame = bundle.manifest.input.model_copy(update={"height": 2, "width": 2})
    small = bundle.manifest.model_copy(update={"input": frame})
    assert [*notes_on(small, ALL, None)] == [
        "a frame of 2x2 is less than half the detector's image of 72x80"
    ]


def test_another_model_file_is_said(copy):
    manifest = sign(copy, model="0" * 64).manifest
    assert [*notes_on(manifest, ALL, "1" * 64)] == [
        "the manifest names another model file ('000000000000') than the one given ('111111111111')"
    ]
    assert [*notes_on(manifest, ALL, "0" * 64)] == []
    assert [*notes_on(manifest, ALL, None)] == []


def test_a_mode_does_not_stand_for_its_variant(copy):
    manifest = Bundle.open(copy).manifest
    mode = {(name, "tf32") for name in RUNTIMES}
    said = "not run: fp32 itself, its mode tf32 alone"
    assert said in [*notes_on(manifest, mode, None)]
    assert said not in [*notes_on(manifest, mode | ALL, None)]


def test_graphs_of_layouts_that_were_not_run_are_said(copy):
    fp32 = statement(copy, "variants")["fp32"]
    layout = {
        "anomalib_onnx": fp32["onnx"],
        "anomalib_openvino": "openvino/anomalib.xml",
    }
    manifest = sign(copy, variants={"fp32": fp32 | layout}).manifest
    (note,) = notes_on(manifest, {("onnxruntime", "fp32")}, None)
    assert note == "not run: openvino/model.xml, openvino/anomalib.xml"
