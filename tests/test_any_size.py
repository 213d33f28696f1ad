"""A bundle exported with `--frame any`: pictures of several sizes through export, proof and inspection."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from anomedge import Inspector, runtimes
from anomedge.benchmark import measure
from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.checks import warn_of_sizes
from anomedge.export.proof import reference_from_model
from anomedge.images import list_pictures, read_folder, read_picture
from anomedge.parity import prove
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.pictures import synthetic
from anomedge.pipelines.fitting import (
    SmallSampleWarning,
    VaryingSizesWarning,
    fit,
)
from anomedge.pipelines.model import load
from anomedge.pipelines.preprocessing import to_images
from anomedge.verification import certify, plan_of
from tests.conftest import RUNTIMES, build_once, tiny_options
from tests.documentation import ROOT, blocks

SIZES = [(96, 128), (160, 140), (61, 200), (70, 72)]


@pytest.fixture(scope="module")
def folder(pictures, tmp_path_factory):
    """The test pictures, labels and all, in four sizes."""
    root = tmp_path_factory.mktemp("sizes")
    for number, path in enumerate(list_pictures(pictures / "test")):
        height, width = SIZES[number % len(SIZES)]
        target = root / path.relative_to(pictures / "test")
        target.parent.mkdir(exist_ok=True)
        with Image.open(path) as image:
            image.resize((width, height)).save(target)
    return root


@pytest.fixture(scope="module")
def any_path(model_paths, folder, tmp_path_factory):
    def build(root):
        options = ExportOptions(frame="any", golden=[folder], batches=[1, 2])
        export(model_paths["padim"], root / "any.anomedge", options)

    return build_once(tmp_path_factory, "bundle-any", build) / "any.anomedge"


@pytest.fixture
def any_bundle(any_path):
    return Bundle.open(any_path)


def test_the_contract_is_float32_frames_of_the_models_size(any_bundle):
    content = json.loads((any_bundle.path / "manifest.json").read_text())
    assert content["input"] == {
        "name": "frames", "dtype": "float32", "layout": "NHWC", "colour": "RGB", "batch": "dynamic",
        "height": 64, "width": 72, "resize": "outside",
    }  # fmt: skip


def test_a_bundle_of_fixed_frames_has_no_new_field(bundle):
    content = json.loads((bundle.path / "manifest.json").read_text())
    assert "resize" not in content["input"]


def test_golden_pictures_keep_their_sizes(any_bundle):
    own = [g for g in any_bundle.manifest.golden if "/" in g.name]
    sizes = {read_picture(any_bundle.file(g.frame)).shape[:2] for g in own}
    assert len(sizes & set(SIZES)) > 1


def test_the_proof_compares_pixels_of_every_runtime(any_path):
    certificate = json.loads((any_path / "certificates/host.json").read_text())
    assert certificate["passed"]
    assert certificate["pictures"]["resized"] == 0
    assert certificate["pictures"]["scaled"] >= 8
    assert {"72x80", "144x160"} <= {*certificate["pictures"]["sizes"]}
    pixels = {
        check["runtime"]
        for check in certificate["checks"]
        if check["kind"] == "pixels"
    }
    assert pixels == set(RUNTIMES)


def test_scores_are_eager_torchs_for_pictures_of_any_size(
    any_path, models, folder, runtime
):
    model = models["padim"]
    paths = list_pictures(folder)
    with Inspector.open(any_path, runtime=runtime) as inspector:
        results = inspector.predict(paths)
        one = inspector.predict(read_picture(paths[1])[..., :1][..., 0])
        stacked = np.stack([read_picture(paths[0])] * 2)
        same = inspector.predict(stacked)
    for path, result in zip(paths, results, strict=True):
        frame = torch.from_numpy(read_picture(path).copy())
        with torch.no_grad():
            score, _ = model.pipeline(to_images(frame[None], model.geometry))
        error = abs(float(score) - result.score) / model.decision.scale
        assert error <= TOLERANCES["fp32"].score
    assert np.isfinite(one.score)
    assert [r.score for r in same] == pytest.approx([results[0].score] * 2)


def test_a_device_proves_it_on_the_golden_pictures(any_bundle, runtime):
    plan = plan_of(any_bundle, [runtime], [1, 2])
    certificate = certify(any_bundle, plan, stages=True)
    assert certificate.passed, certificate.failures


def test_the_host_proves_it_on_other_pictures(any_bundle, model_paths, folder):
    path, framing = model_paths["padim"], any_bundle.manifest.framing
    reference = reference_from_model(
        load(path), path, read_folder(folder), framing, 0, any_bundle
    )
    plan = plan_of(any_bundle, ["onnxruntime"], [1])
    certificate = prove(any_bundle, reference, plan)
    assert certificate.passed, certificate.failures


def test_two_runtimes_are_compared_on_pictures_of_any_size(any_bundle, folder):
    if len(RUNTIMES) < 2:
        pytest.skip("one runtime is installed here")
    certificate = certify(
        any_bundle, plan_of(any_bundle, RUNTIMES, [1]), images=[folder]
    )
    assert certificate.passed, certificate.failures


def test_another_resize_fails_the_proof(any_bundle, model_paths, monkeypatch):
    """The definition's nearest neighbour: a resize that is not the detector's."""
    from anomedge.resample.outside_resize import OutsideResize

    def nearest(self, picture):
        height, width = self.frame
        rows = np.arange(height) * picture.shape[0] // height
        columns = np.arange(width) * picture.shape[1] // width
        return picture[rows][:, columns].astype(np.float32)

    monkeypatch.setattr(OutsideResize, "apply", nearest)
    plan = plan_of(any_bundle, ["onnxruntime"], [1])
    failures = "\n".join(certify(any_bundle, plan).failures)
    assert "preprocessed" in failures


def test_the_documented_resize_gives_the_score_of_the_inspector(
    any_bundle, folder
):
    page = ROOT / "docs" / "integrate.md"
    (text,) = (b.text for b in blocks(page) if "def resize" in b.text)
    namespace = {}
    exec(text, namespace)  # noqa: S102
    manifest = any_bundle.manifest
    size, crop = manifest.image.size, manifest.image.crop
    with Inspector.open(any_bundle, runtime="onnxruntime") as inspector:
        for path in list_pictures(folder):
            picture = read_picture(path)
            frame = namespace["resize"](picture, size, crop)
            assert frame.dtype == np.float32
            (score,) = inspector.session.run({"frames": frame[None]})["score"]
            expected = inspector.predict(path).score
            error = abs(float(score) - expected) / manifest.decision.scale
            assert error <= TOLERANCES["fp32"].score


def test_uint8_and_other_sizes_are_refused_by_the_session(any_bundle):
    with runtimes.open(any_bundle) as session:
        for frames in (np.zeros((1, 64, 72, 3), np.uint8), np.zeros((1, 72, 80, 3), np.float32)):  # fmt: skip
            with pytest.raises(InputError):
                session.run({"frames": frames})


def test_bench_shows_the_cost_of_the_resize(any_bundle, bundle):
    (timing,) = measure(
        any_bundle, plan_of(any_bundle, ["onnxruntime"], [1]), 2, memory=False
    )
    assert (timing.resize.height, timing.resize.width) in SIZES
    assert timing.resize.milliseconds > 0
    (fixed,) = measure(
        bundle, plan_of(bundle, ["onnxruntime"], [1]), 1, memory=False
    )
    assert fixed.resize is None


def test_a_fit_says_that_sizes_vary(folder, pictures):
    options = tiny_options(pictures, held_back=folder / "good")
    with (
        warnings.catch_warnings(),
        pytest.warns(VaryingSizesWarning, match="4 sizes, 70x72 to 160x140.*width/height from 0.88 to 3.28.*--frame any"),
    ):  # fmt: skip
        warnings.simplefilter("ignore", SmallSampleWarning)
        fit("padim", pictures / "train", options)


def test_an_export_of_fixed_frames_advises_any(folder):
    options = ExportOptions(frame=(96, 128))
    with pytest.warns(UserWarning, match="4 sizes.*--frame any"):
        warn_of_sizes(read_folder(folder), options)
    warn_of_sizes(read_folder(folder), ExportOptions(frame="any"))
    warn_of_sizes(synthetic((8, 8)), options)


def test_a_fixed_bundle_names_the_way_out(bundle, folder):
    with (
        Inspector.open(bundle) as inspector,
        pytest.raises(InputError, match="or --frame any for"),
    ):
        inspector.read(list_pictures(folder)[1])


def test_anomalibs_layout_is_refused_before_the_export(model_paths, tmp_path):
    options = ExportOptions(frame="any", layout="anomalib")
    with pytest.raises(InputError, match="expected --frame HxW"):
        export(model_paths["padim"], tmp_path / "a", options)
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_fixed_batch_is_filled_up(model_paths, folder, tmp_path):
    options = ExportOptions(frame="any", batch=2, golden=[folder], runtimes=["onnxruntime"], batches=[2], precisions=("fp32", "fp16"))  # fmt: skip
    export(model_paths["padim"], tmp_path / "two", options)
    with Inspector.open(tmp_path / "two", runtime="onnxruntime") as inspector:
        results = inspector.predict(list_pictures(folder)[:3])
    assert len(results) == 3
