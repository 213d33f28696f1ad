"""A detector without an anomaly map, `docs/examples/mean_colour.py`, the whole way through the commands."""

import csv
import json
import shutil
import sys
import warnings

import numpy as np
import onnx
import pytest

from anomedge import Inspector, pipelines
from anomedge.bundle import Bundle, write_manifest
from anomedge.errors import BundleError, InputError, ModelError, SchemaError
from anomedge.export.tracing import graph_from_model
from anomedge.images import Picture
from anomedge.parity.certificate import Certificate
from anomedge.parity.stored import stored_certificates
from anomedge.parity.verdict import incomplete
from anomedge.pipelines import Prediction
from anomedge.pipelines.crossfit import Scored, ScoredSample
from anomedge.pipelines.decision import Rule, ThresholdSample, place_threshold
from anomedge.pipelines.model import load
from anomedge.pipelines.tiles import Tiles
from anomedge.resample import Tiling
from anomedge.testing import assert_parity
from tests.commands.running import run
from tests.conftest import FRAME, RUNTIMES
from tests.documentation import ROOT

ALL = [word for name in RUNTIMES for word in ("--runtime", name)]
ONE = ("--runtime", RUNTIMES[0])
WHY = "this detector gives a score and no anomaly map"
OF_MAPS = ("map", "pixel", "overlay", "heat")
OTHERS = (WHY, "no anomaly map", "pixels preprocessed", "pixels rounded")


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory):
    """Put the example beside anomedge's own detectors."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copy(ROOT / "docs" / "examples" / "mean_colour.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipelines, "__path__", [*pipelines.__path__, str(folder)])
        yield
    sys.modules.pop("anomedge.pipelines.mean_colour", None)


@pytest.fixture(autouse=True)
def no_advice():
    """Few pictures and weak detectors give advice, which is no subject here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.fixture(scope="module")
def model_path(plugin, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "colour.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        code = run(
            "fit", "mean-colour", pictures / "train", "-o", path, "--size", "64x72",
            "--held-back", pictures / "held_back",
        )  # fmt: skip
    assert code == 0
    return path


@pytest.fixture(scope="module")
def exported(model_path, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "colour.anomedge"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        code = run(
            "export", model_path, "-o", path, "--frame", "x".join(map(str, FRAME)),
            "--golden", pictures / "test", "--layout", "anomalib",
        )  # fmt: skip
    assert code == 0
    return path


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "part.anomedge")


def said(capfd) -> str:
    """Return everything that was printed, in one line."""
    printed = capfd.readouterr()
    return " ".join((printed.out + printed.err).split())


def without_maps(text: str) -> bool:
    """Whether a text says nothing on maps, apart from the reason why there is none."""
    for phrase in OTHERS:
        text = text.replace(phrase, "")
    return not any(word in text.lower() for word in OF_MAPS)


def sign(root, **changed):
    """Write the manifest again with other statements."""
    content = json.loads((root / "manifest.json").read_bytes())
    fields = {n: v for n, v in content.items() if n not in {"files", "digest"}}
    (root / "manifest.json").unlink()
    write_manifest(root, fields | changed)


def test_the_model_has_no_threshold_of_pixels(model_path, capfd):
    model = load(model_path)
    assert model.decision.pixel_threshold is None
    assert not model.decision.has_map
    assert b"pixel_threshold" not in model_path.read_bytes()
    assert run("inspect", model_path) == 0
    assert without_maps(said(capfd))


def test_the_prediction_has_no_map(model_path):
    import torch

    prediction = load(model_path).pipeline(torch.rand(2, 3, 64, 72))
    assert isinstance(prediction, Prediction)
    assert prediction.score.shape == (2,)
    assert prediction.anomaly_map is None


def test_the_score_of_tiles_is_that_of_the_worst(model_path):
    import torch

    pipeline = load(model_path).pipeline
    tiles = Tiles(Tiling((64, 72), 0), (64, 144))
    images = torch.rand(2, 3, 64, 144)
    stages = tiles.stages(pipeline, images)
    assert list(stages) == ["colour", "score"]
    scores = [pipeline(part).score for part in images.split(72, dim=3)]
    torch.testing.assert_close(stages["score"], torch.stack(scores).amax(0))


@pytest.mark.parametrize("anomalous", [0, 5])
def test_every_rule_places_a_threshold_of_the_score_alone(anomalous):
    normal = np.linspace(1.0, 2.0, 12)
    defects = Scored(np.linspace(3.0, 4.0, 5), None, ("hole",) * 5)
    scored = ScoredSample(Scored(normal, None), synthetic=defects)
    if anomalous:
        scored = ScoredSample(Scored(normal, None), defects)
    pixels = np.zeros((4, 4, 3), np.uint8)
    names = [Picture(f"{i}.png", pixels=pixels) for i in range(12 + anomalous)]
    sample = ThresholdSample(names[:12], names[12:], "given")
    decision = place_threshold(scored, sample, Rule())
    assert 1.9 < decision.threshold < 3.0
    assert decision.origin.rule == ("f1" if anomalous else "balanced")
    assert decision.pixel_threshold is None


def test_the_score_is_the_only_output(exported):
    manifest = Bundle.open(exported).manifest
    assert [output.name for output in manifest.outputs] == ["score"]
    assert manifest.stages == ("preprocessed", "colour", "score")
    assert not manifest.has_map
    assert not (exported / "golden" / "anomaly_map.npy").exists()
    graph = onnx.load(exported / "model.onnx").graph
    assert [value.name for value in graph.output] == ["score"]


def test_inspect_prints_no_map(exported, capfd):
    assert run("inspect", exported) == 0
    shown = said(capfd)
    assert "score: float32 (B)" in shown
    assert without_maps(shown)


def test_anomalibs_layout_has_two_outputs(exported):
    model = onnx.load(exported / "anomalib.onnx", load_external_data=False)
    names = [value.name for value in model.graph.output]
    assert names == ["pred_score", "pred_label"]
    stated = {entry.key: entry.value for entry in model.metadata_props}
    assert stated["model_info task"] == "classification"
    assert "model_info pixel_threshold" not in stated


def test_the_certificate_of_the_export_compares_no_map(exported):
    content = json.loads((exported / "certificates/host.json").read_bytes())
    certificate = Certificate.from_json(content)
    assert certificate.passed
    assert {cell.runtime for cell in certificate.cells} == set(RUNTIMES)
    for cell in content["cells"]:
        assert not {"map_error", "mask_iou"} & cell.keys()
    names = {check.name for check in certificate.checks}
    assert "output anomaly_map" not in names
    assert {"anomalib pred_score", "anomalib pred_label"} <= names
    assert "anomalib pred_mask" not in names
    assert "map near the pixel threshold" not in names
    (stored,) = stored_certificates(Bundle.open(exported))
    assert stored.passed


def test_verify_passes_with_and_without_the_model(
    exported, model_path, pictures, capfd, tmp_path
):
    junit = tmp_path / "proof.xml"
    assert run("verify", exported, *ALL, "--stages", "--junit", junit) == 0
    shown = said(capfd)
    assert "passed against golden frames" in shown
    assert without_maps(shown)
    assert "map" not in junit.read_text()
    given = ("--model", model_path, "--images", pictures / "test")
    assert run("verify", exported, *ALL, *given) == 0
    shown = said(capfd)
    assert "passed against eager torch" in shown
    assert without_maps(shown)


def test_runtimes_are_compared_with_one_another(exported, pictures, capfd):
    if len(RUNTIMES) < 2:
        pytest.skip("needs two runtimes")
    assert run("verify", exported, *ALL, "--images", pictures / "test") == 0
    assert "no proof against the original" in said(capfd)


def test_assert_parity_accepts_it(exported, model_path):
    certificate = assert_parity(
        exported, RUNTIMES[0], model=model_path, batches=[1]
    )
    assert all(cell.map_error is None for cell in certificate.cells)


def test_another_score_fails_the_proof(copy, capfd):
    scores = copy / "golden" / "score.npy"
    scale = Bundle.open(copy).manifest.decision.scale
    np.save(scores, np.load(scores) + np.float32(scale))
    sign(copy)
    assert run("verify", copy, *ONE, "--batch", "1") == 3
    assert "score off by" in said(capfd)


def test_a_bundle_that_hides_its_map_fails_the_proof(
    bundle_paths, model_paths, tmp_path, capfd
):
    """A bundle of a detector with a map, signed again as one without."""
    root = shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    manifest = json.loads((root / "manifest.json").read_bytes())
    decision = manifest["decision"]
    del decision["pixel_threshold"]
    outputs = [o for o in manifest["outputs"] if o["name"] == "score"]
    stages = [name for name in manifest["stages"] if name != "anomaly_map"]
    sign(root, outputs=outputs, decision=decision, stages=stages)
    given = (*ONE, "--batch", "1", "--model", model_paths["padim"])
    assert run("verify", root, *given) == 3
    shown = said(capfd)
    assert "pixel_threshold is None" in shown
    assert "bundle stages: are" in shown


@pytest.mark.parametrize(
    ("decision", "outputs"), [({"pixel_threshold": 1.0}, 1), ({}, 2)]
)
def test_a_threshold_of_pixels_goes_with_a_map(copy, decision, outputs):
    manifest = json.loads((copy / "manifest.json").read_bytes())
    of_map = {"name": "anomaly_map", "shape": [1, 64, 72]}
    with pytest.raises(ValueError, match="expected a pixel_threshold with"):
        sign(
            copy,
            decision=manifest["decision"] | decision,
            outputs=[*manifest["outputs"], of_map][:outputs],
        )


def test_stages_without_the_map_of_the_decision_are_refused(model_path):
    from dataclasses import replace

    model = load(model_path)
    decision = model.decision.model_copy(update={"pixel_threshold": 1.0})
    with pytest.raises(ModelError, match=r"mean-colour gives the outputs"):
        graph_from_model(replace(model, decision=decision), FRAME, 1, 17)


def test_a_certificate_with_a_map_left_out_fails(bundle_paths):
    path = bundle_paths["padim"] / "certificates" / "host.json"
    content = json.loads(path.read_bytes())
    for cell in content["cells"]:
        cell["map_error"] = None
    certificate = Certificate.from_json(content)
    assert not certificate.passed
    assert "no map was compared" in certificate.failures[0]
    stages = certificate.stage_names
    checks = [c for c in certificate.checks if "anomaly_map" not in c.name]
    found = list(incomplete(certificate.cells, checks, stages))
    assert any("no map was compared" in line for line in found)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_result_has_no_map(exported, pictures, runtime):
    frames = sorted((pictures / "test").rglob("*.png"))[:2]
    with Inspector.open(exported, runtime) as inspector:
        results = inspector.predict(frames)
    assert [result.anomaly_map for result in results] == [None, None]
    assert [result.mask for result in results] == [None, None]
    assert all(result.label in {"normal", "anomalous"} for result in results)


def test_predict_says_why_there_are_no_overlays(
    exported, pictures, tmp_path, capfd
):
    out = tmp_path / "out"
    assert run("predict", exported, pictures / "test", "-o", out, *ONE) == 0
    assert f"no overlays: {WHY}" in said(capfd)
    assert [path.name for path in out.iterdir()] == ["results.csv"]
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["picture", "label", "score", "milliseconds"]


def test_watch_writes_no_share_of_pixels(exported, pictures, capfd):
    folder = pictures / "test" / "good"
    assert run("watch", exported, folder, "--once", *ONE) == 0
    lines = map(json.loads, capfd.readouterr().out.splitlines())
    frames = [line for line in lines if line["event"] == "frame"]
    assert frames
    assert "score" in frames[0]
    assert "anomalous_pixels" not in frames[0]


def test_watch_refuses_to_save_overlays(exported, pictures, tmp_path, capfd):
    given = (exported, pictures / "test" / "good", "--once", *ONE)
    assert run("watch", *given, "--save", tmp_path / "out") == 2
    assert f"got --save, but {WHY}" in said(capfd)
    assert not (tmp_path / "out").exists()


def test_evaluate_says_that_pixel_figures_are_absent(
    exported, model_path, pictures, capfd
):
    given = (exported, pictures, "--model", model_path, *ONE)
    assert run("evaluate", *given) == 0
    shown = said(capfd)
    note = "the detector gives no anomaly map: figures of pixels are absent"
    assert note in shown
    assert "image AUROC" in shown
    assert without_maps(shown.replace(note, ""))
    assert run("evaluate", *given, "--json") == 0
    content = json.loads(capfd.readouterr().out)
    for column in content["columns"]:
        assert column["pixel"] is None
        assert column["map_bits"] is None
    assert content["pictures"]["masked"] == 0


@pytest.mark.parametrize("option", ["--maps", "--overlays"])
@pytest.mark.parametrize("of_model", [False, True])
def test_evaluate_refuses_outputs_of_maps(
    exported, model_path, pictures, tmp_path, capfd, option, of_model
):
    subject = model_path if of_model else exported
    assert run("evaluate", subject, pictures, option, tmp_path / "out") == 2
    assert f"got {option}, but {WHY}" in said(capfd)
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_why_there_are_no_overlays(
    exported, pictures, tmp_path
):
    page = tmp_path / "report.html"
    given = ("-o", page, *ONE, "--batch", "1", "--rounds", "1")
    assert run("report", exported, *given) == 0
    text = page.read_text()
    assert "this detector gives a score and no anomaly map" in text
    assert "Anomaly map of" not in text
    for heading in ("map<br>error", "mask IoU", "pixel<br>AUROC"):
        assert heading not in text


def test_the_threshold_is_set_and_reset(copy, capfd):
    assert run("threshold", copy, "--set", "0.5") == 0
    assert run("threshold", copy) == 0
    shown = said(capfd)
    assert "local 0.5" not in shown
    assert "threshold 0.5" in shown
    assert "pixels" not in shown
    assert Bundle.open(copy).decision.threshold == 0.5
    assert run("threshold", copy, "--json") == 0
    assert json.loads(capfd.readouterr().out)["pixel_threshold"] is None


def test_a_threshold_of_pixels_cannot_be_set(copy, capfd):
    assert run("threshold", copy, "--set-pixel", "0.5") == 2
    assert "got a pixel threshold for a detector without" in said(capfd)
    digest = Bundle.open(copy).manifest.digest
    settings = {"bundle": digest, "pixel_threshold": 0.5}
    (copy / "local.json").write_text(json.dumps(settings))
    with pytest.raises(SchemaError, match="this bundle gives no anomaly map"):
        _ = Bundle.open(copy).decision
    assert run("threshold", copy, "--reset") == 0


def test_the_threshold_is_calibrated_on_the_device(copy, pictures):
    given = ("--normal", pictures / "held_back", "--rate", "0.2", *ONE)
    assert run("threshold", copy, *given) == 0
    local = Bundle.open(copy).local
    assert local.threshold is not None
    assert local.pixel_threshold is None


def test_lint_bench_and_budget_accept_it(exported, model_path, capfd):
    assert run("lint", exported) == 0
    assert run("bench", exported, *ONE, "--rounds", "1", "--batch", "1") == 0
    capfd.readouterr()
    given = ("--device", "jetson-orin-nano", "--frame", "96x128")
    assert run("inspect", model_path, *given) == 0
    shown = said(capfd)
    assert "score" in shown
    assert "anomaly_map" not in shown


def test_a_map_asked_of_the_decision_is_an_error(model_path):
    decision = load(model_path).decision
    with pytest.raises(InputError, match="got a detector without an anomaly"):
        decision.mask(np.zeros((4, 4)))


def test_golden_frames_without_scores_are_refused(copy):
    from anomedge.parity.golden import read_golden

    np.save(copy / "golden" / "score.npy", np.zeros((1, 1), np.float32))
    sign(copy)
    with pytest.raises(BundleError, match="got golden score"):
        read_golden(Bundle.open(copy))
