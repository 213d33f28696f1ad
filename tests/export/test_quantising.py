"""Export in INT8: what is refused before long work, what is written, and that every runtime decides as eager Torch."""

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.bundle.manifest import digest_of
from anomedge.errors import InputError, ModelError, OutputError, ProofFailed
from anomedge.export import quantising
from anomedge.export.bundling import ExportOptions, export, export_model
from anomedge.export.options import Int8Options
from anomedge.export.quantising import (
    UnstableLevelsWarning,
    int8_path,
    quantised_model,
    statement,
)
from anomedge.files import canonical_json
from anomedge.images import read_folder
from anomedge.lint import available, examine
from anomedge.pipelines.model import load, save
from anomedge.verification import certify, plan_of
from tests.conftest import FRAME


def options_of(*calibrate, precisions=("int8",), force=False, **more):
    int8 = Int8Options(calibrate=calibrate, **more) if calibrate else None
    return ExportOptions(
        frame=FRAME, precisions=precisions, int8=int8, force=force
    )


@pytest.fixture
def unquantised(monkeypatch):
    """A list of the options of each quantisation, which returns the float model."""
    calls = []

    def recorded(model, options):
        calls.append(options)
        return model

    monkeypatch.setattr(quantising, "quantise", recorded)
    return calls


def refused(model, path, options, error, match):
    with (
        pytest.raises(error, match=match),
        quantised_model(model, path, options),
    ):
        raise AssertionError("not refused")
    assert not int8_path(path).exists()


def path_in(tmp_path, model):
    path = tmp_path / "part.safetensors"
    save(model, path)
    return path


@pytest.fixture
def path(models, tmp_path):
    return path_in(tmp_path, models["padim"])


def test_without_calibration_pictures_int8_is_refused(models, path, unquantised):  # fmt: skip
    refused(models["padim"], path, options_of(), InputError, "with --calibrate")
    assert not unquantised


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({}, OutputError, "exists; expected a new name"),
        ({"golden": ["missing"], "force": True}, InputError, "missing"),
        ({"search": "int8", "force": True}, InputError, "memory bank"),
    ],
)
def test_other_faults_are_found_before_the_quantisation(
    path, pictures, unquantised, tmp_path, changed, error, match
):
    target = tmp_path / "part.anomedge"
    target.mkdir()
    golden = [tmp_path / name for name in changed.pop("golden", ())]
    options = replace(options_of(pictures / "train"), golden=golden, **changed)
    with pytest.raises(error, match=match):
        export(path, target, options)
    assert not unquantised
    assert not int8_path(path).exists()


def test_fewer_than_nine_tenths_of_the_pictures_are_refused(models, path, pictures, unquantised):  # fmt: skip
    """The eight fitted pictures are not among those that were held back."""
    options = options_of(pictures / "held_back")
    refused(models["padim"], path, options, InputError, "got 0 of the 8 pictures")  # fmt: skip
    with pytest.raises(InputError) as raised, quantised_model(models["padim"], path, options):  # fmt: skip
        pass
    for choice in ("--calibrate", "--quantise-only", "--refit-on DIR"):
        assert choice in str(raised.value)
    assert not unquantised


def test_other_pictures_are_accepted_with_a_choice(models, path, pictures, unquantised):  # fmt: skip
    held = pictures / "held_back"
    for more in ({"refit": False}, {"refit_on": [pictures / "train"]}):
        options = options_of(held, force=True, **more)
        with quantised_model(models["padim"], path, options):
            pass
    kept, refitted = unquantised
    assert (kept.refit, len(kept.refit_on)) == (False, 0)
    assert (refitted.refit, len(refitted.refit_on)) == (True, 8)


def test_further_pictures_calibrate_but_do_not_change_the_statistics(models, path, pictures, unquantised):  # fmt: skip
    options = options_of(pictures / "train", pictures / "held_back")
    with quantised_model(models["padim"], path, options):
        pass
    (used,) = unquantised
    assert (len(used.pictures), len(used.refit_on)) == (14, 8)
    digests = {picture.digest for picture in used.refit_on}
    assert digests == set(models["padim"].card.fitted)


def test_anomalous_pictures_do_not_calibrate(models, path, pictures, unquantised):  # fmt: skip
    options = options_of(pictures / "train", pictures / "test", labelled=[pictures / "test"])  # fmt: skip
    with quantised_model(models["padim"], path, options):
        pass
    (used,) = unquantised
    labels = {picture.anomalous for picture in read_folder(pictures / "test")}
    assert True in labels
    assert True not in {picture.anomalous for picture in used.pictures}
    assert True in {picture.anomalous for picture in used.labelled}


def test_golden_pictures_are_compared_if_no_other_option_names_them(models, path, pictures, unquantised):  # fmt: skip
    train, held = pictures / "train", pictures / "held_back"
    options = replace(options_of(train), golden=[train, held])
    with quantised_model(models["padim"], path, options):
        pass
    (used,) = unquantised
    expected = {picture.digest for picture in read_folder(held)}
    assert {picture.digest for picture in used.proven} == expected


def test_a_picture_in_two_folders_counts_once_in_the_statistics(models, path, pictures, unquantised):  # fmt: skip
    options = options_of(pictures / "train", pictures / "train" / "good")
    with quantised_model(models["padim"], path, options):
        pass
    (used,) = unquantised
    assert len(used.refit_on) == 8


def listed(tmp_path, pictures, *labels):
    """A list of the pictures to test with these labels; the others are left out."""
    shown = [p for p in read_folder(pictures / "test") if p.anomalous in labels]
    rows = [f"{picture.path},anomalous" for picture in shown]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["path,label", *rows]))
    return path


def test_anomalous_pictures_alone_are_no_statistics(models, path, pictures, tmp_path, unquantised):  # fmt: skip
    """The pictures of --calibrate would silently take their place."""
    bad = listed(tmp_path, pictures, True)
    options = options_of(pictures / "train", refit_on=[bad])
    refused(models["padim"], path, options, InputError, "got no normal picture")  # fmt: skip
    assert not unquantised


def test_labelled_pictures_need_labels(models, path, pictures, unquantised):
    options = options_of(pictures / "train", labelled=[pictures / "held_back"])
    refused(models["padim"], path, options, InputError, "6 pictures without labels")  # fmt: skip
    assert not unquantised


def test_a_detector_without_statistics_has_no_pictures_for_them(models, path, pictures, unquantised, monkeypatch):  # fmt: skip
    model = models["padim"]
    monkeypatch.setattr(type(model.pipeline), "has_statistics", False)
    options = options_of(pictures / "train", refit_on=[pictures / "held_back"])
    refused(model, path, options, InputError, "leave out --refit-on")
    assert not unquantised


def test_an_imported_model_needs_a_choice(models, path, pictures, unquantised):
    card = models["padim"].card.model_copy(
        update={"imported": "a" * 64, "fitted": ()}
    )
    imported = replace(models["padim"], card=card)
    options = options_of(pictures / "train")
    refused(imported, path, options, InputError, "imported model.*--quantise-only")  # fmt: skip
    with quantised_model(imported, path, options_of(pictures / "train", refit=False)):  # fmt: skip
        pass
    assert len(unquantised) == 1


def test_an_existing_file_is_refused_before_the_quantisation(models, path, pictures, unquantised):  # fmt: skip
    int8_path(path).write_text("mine")
    with pytest.raises(OutputError, match="export that file without --calibrate"), quantised_model(models["padim"], path, options_of(pictures / "train")):  # fmt: skip
        pass
    assert int8_path(path).read_text() == "mine"
    assert not unquantised


def test_a_failed_proof_publishes_no_model(models, path, pictures, unquantised):
    def failing():
        with quantised_model(models["padim"], path, options_of(pictures / "train")):  # fmt: skip
            raise ProofFailed("no")

    with pytest.raises(ProofFailed):
        failing()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.slow
def test_an_unreachable_budget_publishes_nothing(model_paths, pictures, tmp_path):  # fmt: skip
    """With 14 pictures there are synthetic defects; the refitted detector labels some of them differently."""
    path = tmp_path / "part.safetensors"
    path.write_bytes(model_paths["padim"].read_bytes())
    options = options_of(
        pictures / "train",
        pictures / "held_back",
        refit_on=[pictures / "held_back"],
        most_auroc_drop=0.0,
    )
    with pytest.raises(ProofFailed, match="layers with most noise"):
        export(path, tmp_path / "part.anomedge", options)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_other_models_are_passed_through(models, path):
    options = options_of(precisions=("fp32",))
    with quantised_model(models["padim"], path, options) as (model, source):
        assert (model, source) == (models["padim"], path)


@pytest.mark.slow
def test_rounding_near_the_tolerance_is_warned_of(models, path, pictures, monkeypatch):  # fmt: skip
    def unstable(model, options):
        made = original(model, options)
        record = made.quantisation.model_copy(update={"rounding": 0.06})
        return replace(made, quantisation=record)

    original = quantising.quantise
    monkeypatch.setattr(quantising, "quantise", unstable)
    given = options_of(pictures / "train")
    with (
        pytest.warns(UnstableLevelsWarning, match=r"0\.06.*at most 0\.05"),
        quantised_model(models["padim"], path, given),
    ):
        pass
    with quantised_model(models["padim"], path, replace(given, widen=2.0, force=True)):  # fmt: skip
        pass


# Of whole exports.


@pytest.fixture(scope="module")
def exported(int8_folders):
    return {
        name: (
            Bundle.open(folder / "part.anomedge"),
            load(folder / "part.int8.safetensors"),
        )
        for name, folder in int8_folders.items()
    }


@pytest.mark.slow
def test_every_runtime_is_proven_at_every_batch_size(exported, detector):
    bundle, model = exported[detector]
    stored = json.loads(bundle.path.joinpath("certificates/host.json").read_text())  # fmt: skip
    cells = {(cell["runtime"], cell["batch"]) for cell in stored["cells"]}
    assert cells == {(name, batch) for name in runtimes.usable() for batch in (1, 2, 3, 8)}  # fmt: skip
    assert not any(cell["flips"] for cell in stored["cells"])
    assert list(bundle.manifest.variants) == ["int8"]
    assert bundle.manifest.model == model.digest
    assert bundle.decision == model.decision


@pytest.mark.slow
def test_the_manifest_states_the_quantisation(exported, int8_folders, detector):
    bundle, model = exported[detector]
    stated = bundle.manifest.quantisation
    assert stated == statement(model)
    original = load(int8_folders[detector] / "part.safetensors")
    assert stated.float_model == original.digest
    assert (stated.pictures, stated.refitted, stated.flips) == (8, True, 0)
    assert stated.quantised == sum(map(len, model.quantisation.scales.values()))


@pytest.mark.slow
def test_a_false_statement_fails_the_proof(exported, tmp_path):
    bundle, _ = exported["padim"]
    forged = tmp_path / "forged.anomedge"
    shutil.copytree(bundle.path, forged)
    content = json.loads((forged / "manifest.json").read_text())
    content["quantisation"]["flips"] = 7
    content["digest"] = digest_of(content)
    (forged / "manifest.json").write_bytes(canonical_json(content))
    opened = Bundle.open(forged)
    plan = plan_of(opened, ["openvino"], [1], "int8")
    model = next(bundle.path.parent.glob("*.int8.safetensors"))
    certificate = certify(opened, plan, model)
    named = [c.detail for c in certificate.checks if not c.passed]
    assert named == ["flips: not what the model file says"]


@pytest.mark.slow
def test_the_weights_are_stored_in_int8(exported, detector):
    bundle, model = exported[detector]
    graph = onnx.load(bundle.file("model.int8.onnx")).graph
    tensors = {t.name: t for t in graph.initializer}
    weights = [
        tensors[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors
    ]
    assert len(weights) == bundle.manifest.quantisation.quantised
    assert {t.data_type for t in weights} == {onnx.TensorProto.INT8}
    backbone = model.pipeline.extractor.original.state_dict()
    floats = sum(x.nbytes for n, x in backbone.items() if n.endswith("conv.weight"))  # fmt: skip
    assert floats
    stored = sum(int(np.prod(t.dims)) for t in weights)
    convolutions = sum(x.numel() for x in backbone.values() if x.ndim == 4)
    assert stored <= convolutions
    readers = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:2]}  # fmt: skip
    kept = bundle.manifest.quantisation.kept.values()
    assert len(readers & set(tensors)) == sum(map(len, kept))


@pytest.mark.slow
def test_openvino_computes_the_convolutions_in_int8(exported, detector):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    if "INT8" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("the processor has no INT8 products")
    bundle, _ = exported[detector]
    path = bundle.file("openvino/model.int8.xml")
    compiled = core.compile_model(path, "CPU")
    kinds = [
        (info["layerType"], info["runtimePrecision"])
        for op in compiled.get_runtime_model().get_ops()
        for info in [op.get_rt_info()]
        if info["layerType"] == "Convolution"
    ]
    quantised = [kind for kind, precision in kinds if precision in ("i8", "u8")]
    assert len(quantised) >= bundle.manifest.quantisation.quantised - 2


@pytest.mark.slow
def test_a_tapped_convolution_has_its_readers_right_in_openvino(exported):
    """OpenVINO 2026.4 computed zeros behind one without bias; see `network._NO_BIAS`."""
    openvino = pytest.importorskip("openvino")
    bundle, model = exported["patchcore"]
    path = bundle.file("stages.int8.onnx")
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})  # fmt: skip
    frames = np.zeros((1, *FRAME, 3), dtype=np.uint8)
    found = compiled([frames])
    images = torch.from_numpy(found["preprocessed"])
    with torch.no_grad():
        features = model.pipeline.features(images)
    for name, expected in features.items():
        error = np.abs(found[f"features/{name}"] - expected.numpy()).max()
        assert error < 0.05 * float(expected.abs().max()), name


@pytest.mark.slow
def test_lint_passes_for_all_targets(exported, detector):
    bundle, _ = exported[detector]
    report = examine(bundle.path, available(), real=False)
    # The NPU wants a fixed batch, and computes in float16, in every precision.
    assert {finding.rule for finding in report.findings} == {"static", "fp16"}
    assert {finding.target for finding in report.findings} == {"openvino-npu"}


@pytest.mark.slow
def test_tensorrt_rtx_builds_it(exported, detector):
    pytest.importorskip("tensorrt_rtx")
    bundle, _ = exported[detector]
    report = examine(bundle.path, ["rtx"])
    assert not report.findings
    steps = {run.graph: run.steps for run in report.runs}
    assert steps["model.int8.onnx"] == ("parsed", "built")


@pytest.mark.slow
def test_a_quantised_model_is_exported_again_without_pictures(int8_folders, tmp_path):  # fmt: skip
    path = int8_folders["padim"] / "part.int8.safetensors"
    certificate = export(path, tmp_path / "again.anomedge", options_of())
    assert certificate.passed
    first = Bundle.open(int8_folders["padim"] / "part.anomedge").manifest
    again = Bundle.open(tmp_path / "again.anomedge").manifest
    assert again.quantisation == first.quantisation
    assert again.decision == first.decision


@pytest.mark.slow
def test_a_quantised_model_is_refused_in_other_precisions(exported, int8_folders, pictures):  # fmt: skip
    _, model = exported["padim"]
    path = int8_folders["padim"] / "part.int8.safetensors"
    for options, error, match in (
        (options_of(precisions=("fp32",)), ModelError, "expected --precision int8"),
        (options_of(pictures / "train"), InputError, "leave out --calibrate"),
    ):  # fmt: skip
        refused(model, path, options, error, match)


def test_the_file_is_named_beside_its_model(tmp_path):
    assert int8_path(tmp_path / "part.safetensors") == tmp_path / "part.int8.safetensors"  # fmt: skip


def test_a_float_detector_is_no_int8_detector(models, path, tmp_path):
    """As `export_module` gives one, which has its own way to `export_model`."""
    options = options_of()
    with pytest.raises(InputError, match="float networks for precision int8"):
        export_model(
            models["padim"], path, tmp_path / "part.anomedge", options, []
        )
    assert not (tmp_path / "part.anomedge").exists()
