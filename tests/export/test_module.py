"""Torch modules as bundles: whole exports, and what is refused before them."""

import re
import runpy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.errors import ExportError, InputError, ModelError, OutputError
from anomedge.export.module import export_module
from anomedge.images import read_folder
from anomedge.interop.digests import digest_of
from anomedge.lint import lint, vendors
from anomedge.pipelines.fitting import (
    InsensitiveWarning,
    OutlierWarning,
    SmallSampleWarning,
)
from anomedge.verification import certify, plan_of
from tests.conftest import FRAME, RUNTIMES, build_once
from tests.documentation import ROOT, blocks
from tests.interop.modules import SIZE, Relative, Returning, Tiny, scored
from tests.parity.examples import DECISION

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def exported(module, target, **options):
    """Export; the thresholds of random weights separate nothing."""
    given = {"size": SIZE, "frame": FRAME, "mean": MEAN, "std": STD}
    with warnings.catch_warnings():
        for kind in (InsensitiveWarning, OutlierWarning, SmallSampleWarning):
            warnings.simplefilter("ignore", kind)
        return export_module(module, target, **(given | options))


@pytest.fixture(scope="module")
def folder(pictures, tmp_path_factory):
    """A bundle with every option that adds files."""

    def build(root):
        result = exported(
            Tiny().train(),
            root / "tiny.anomedge",
            normal=pictures / "held_back",
            golden=[pictures / "test"],
            stages={"features/body": "body"},
            networks=["body"],
            precisions=("fp32", "fp16-storage", "fp16"),
            layout="anomalib",
        )
        (root / "way.txt").write_text(str(result.way))

    return build_once(tmp_path_factory, "bundle-module", build)


@pytest.fixture
def module_bundle(folder):
    return Bundle.open(folder / "tiny.anomedge")


def test_manifest(module_bundle, folder):
    manifest = module_bundle.manifest
    assert manifest.detector == "module"
    assert manifest.model == digest_of(Tiny())
    assert manifest.config["description"] == "Tiny"
    assert manifest.config["mean"] == list(MEAN)
    assert manifest.stages == (
        "preprocessed", "features/body", "anomaly_map", "score",
    )  # fmt: skip
    assert set(manifest.variants) == {"fp32", "fp16-storage", "fp16"}
    assert manifest.input.batch == "dynamic"
    assert manifest.decision.origin.normal == 6
    assert "any batch" in (folder / "way.txt").read_text()


def test_the_golden_frames_prove_it_without_the_module(module_bundle):
    plan = plan_of(module_bundle, RUNTIMES, [1, 2, 3, 8])
    certificate = certify(module_bundle, plan, stages=True)
    assert certificate.passed
    assert {cell.batch for cell in certificate.cells} >= {1, 2, 3, 8}


def test_golden_outputs_are_those_of_the_module(module_bundle, pictures):
    frame = read_folder(pictures / "test")[0].frame()
    with Inspector.open(module_bundle.path, runtime=RUNTIMES[0]) as inspector:
        result = inspector.predict(frame)
    module = Tiny().eval()
    image = torch.from_numpy(frame.copy())
    image = image.permute(2, 0, 1)[None].float() / 255
    image = F.interpolate(image, SIZE, mode="bilinear", antialias=True)
    mean, std = (torch.tensor(x).reshape(1, 3, 1, 1) for x in (MEAN, STD))
    with torch.no_grad():
        score, _ = module((image - mean) / std)
    assert result.score == pytest.approx(float(score), rel=1e-5)


def test_no_graph_has_a_resize(module_bundle):
    import onnx

    graph = onnx.load(module_bundle.path / "model.onnx").graph
    operators = {node.op_type for node in graph.node}
    assert not operators & {"Resize", "Upsample", "Einsum"}


@pytest.mark.slow
def test_lint(module_bundle):
    found = lint(module_bundle.path, ["openvino-cpu", "tensorrt-10.3"])
    assert [f for f in found if f.severity == "error"] == []


@pytest.mark.skipif(
    not vendors.installed("rtx"),
    reason="tensorrt_rtx is not installed",
)
@pytest.mark.slow
def test_nvidias_parser_takes_it(module_bundle):
    found = lint(module_bundle.path, ["rtx"])
    assert [f for f in found if f.severity == "error"] == []


@pytest.mark.slow
def test_a_module_of_whole_batches_is_fixed_to_batch_1(tmp_path):
    target = tmp_path / "relative.anomedge"
    decision = DECISION.model_copy(
        update={"threshold": 0.9, "pixel_threshold": 0.8, "scale": 0.1}
    )
    with pytest.raises(ModelError, match="rest of the batch"):
        exported(Relative(), target, decision=decision)
    result = exported(
        Relative(), target, decision=decision, batch=1, frame="any"
    )
    assert result.way.batch == 1
    manifest = Bundle.open(target).manifest
    assert manifest.input.batch == 1
    assert manifest.input.resize == "outside"
    assert manifest.decision == decision


@pytest.mark.slow
def test_a_module_of_a_score_alone(tmp_path):
    target = tmp_path / "score.anomedge"
    decision = DECISION.model_copy(
        update={"threshold": 0.5, "pixel_threshold": None, "scale": 0.1}
    )
    module = Returning(lambda _, grey: grey.mean(dim=(1, 2, 3)))
    exported(module, target, decision=decision)
    bundle = Bundle.open(target)
    assert [output.name for output in bundle.manifest.outputs] == ["score"]
    assert certify(bundle, plan_of(bundle, RUNTIMES)).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither decision= and normal="),
        ({"decision": DECISION, "normal": "x"}, "both decision= and normal="),
        ({"normal": "no/such"}, "no/such"),
        ({"decision": DECISION, "precisions": ["fp16"]}, "without networks"),
        ({"decision": DECISION, "networks": ["no"]}, "does not have"),
        ({"decision": DECISION, "std": (0, 1, 1)}, "std"),
        ({"decision": DECISION, "golden": ["no/such"]}, "no/such"),
        ({"decision": DECISION, "batch": 0}, "batch 0"),
        ({"decision": DECISION, "layout": "no"}, "no"),
    ],
)
def test_wrong_options_are_refused_before_the_module_runs(
    options, message, tmp_path
):
    def run(*_):
        raise AssertionError("the module ran")

    with pytest.raises(InputError, match=re.escape(message)):
        exported(Returning(run), tmp_path / "x.anomedge", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_decision_for_a_map_that_is_missing_is_refused(tmp_path):
    module = Returning(lambda _, grey: grey.mean(dim=(1, 2, 3)))
    with pytest.raises(InputError, match=r"with a pixel threshold .* without"):
        exported(module, tmp_path / "x.anomedge", decision=DECISION)


def test_an_existing_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError):
        exported(Tiny(), tmp_path, decision=DECISION, force=True)


def test_a_refused_module_is_left_as_it_was(tmp_path):
    module = nn.Sequential(
        Returning(lambda _, grey: scored(grey * float("nan"))), nn.Dropout()
    )
    with pytest.raises(ModelError):
        exported(module[0], tmp_path / "x", decision=DECISION)
    assert module[0].training
    assert list(tmp_path.iterdir()) == []


def test_modules_that_decide_by_values_are_refused(tmp_path):
    def decide(_, grey):
        return scored(grey if grey.mean() > 0.5 else grey * 2)

    with pytest.raises(ExportError, match=r"this module.*depend on values"):
        exported(Returning(decide), tmp_path / "x", decision=DECISION)


@pytest.mark.slow
def test_the_example_of_the_page_runs(pictures, tmp_path, monkeypatch):
    (text,) = (
        block.text
        for block in blocks(ROOT / "docs" / "export.md")
        if "export_module" in block.text
    )
    (tmp_path / "demo-out").mkdir()
    (tmp_path / "demo-out" / "pictures").symlink_to(pictures)
    (tmp_path / "example.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path("example.py")
    manifest = Bundle.open(tmp_path / "module.anomedge").manifest
    assert manifest.config["description"] == "Contrast"
