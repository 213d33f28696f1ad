"""A region of interest through fit, export, verify and predict."""

import numpy as np
import pytest

from anomedge.__main__ import application
from anomedge.bundle import Bundle, write_manifest
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import InputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import PixelRectangle
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector
from anomedge.lint.vendors import ask
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.model import load, save
from tests.conftest import FRAME, tiny_options
from tests.images.test_regions import mask_file
from tests.pipelines.test_regions import l_shape

RECTANGLE = PixelRectangle(20, 10, 90, 70)


@pytest.fixture(scope="module")
def built(pictures, tmp_path_factory):
    """Model and bundle of a detector within a rectangle or a mask, built once each."""
    folder = tmp_path_factory.mktemp("regions")
    inside = np.zeros(FRAME, bool)
    inside[10:80, 20:110] = l_shape(70, 90)
    mask = mask_file(folder / "mask.png", inside)
    made = {}

    def build(detector, kind):
        if (detector, kind) not in made:
            roi = mask if kind == "mask" else RECTANGLE
            path = folder / f"{detector}-{kind}.safetensors"
            with pytest.warns(UserWarning):
                save(
                    fit(
                        detector,
                        pictures / "train",
                        tiny_options(pictures, roi=roi),
                    ),
                    path,
                )
                bundle = path.with_suffix(".anomedge")
                certificate = export(
                    path,
                    bundle,
                    ExportOptions(
                        frame=FRAME,
                        runtimes=["onnxruntime"],
                        batches=[2],
                    ),
                )
            made[detector, kind] = path, bundle, certificate
        return made[detector, kind]

    return build


SLOW = [("padim", "rectangle"), ("padim", "mask")]


@pytest.fixture(
    params=[
        ("patchcore", "mask"),
        *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW),
    ],
    ids=["patchcore-mask", "padim-rectangle", "padim-mask"],
)
def case(request):
    """A detector and the kind of its region; a rectangle acts before the detector."""
    return request.param


def run(*arguments):
    return run_to_exit_code(
        lambda given: application()(given, prog_name="anomedge"),
        [str(argument) for argument in arguments],
    )


def test_the_graph_is_proven_in_every_stage(case, built, capsys):
    path, bundle, certificate = built(*case)
    assert certificate.passed
    stated = Bundle.open(bundle).manifest
    assert stated.geometry == load(path).geometry
    assert ("masked" in stated.config) == (case[1] == "mask")
    options = ("--stages", "--batch", "1", "--runtime", "onnxruntime")
    assert run("verify", bundle, "--model", path, *options) == 0
    shown = capsys.readouterr().out
    assert "EXCEEDS" not in shown
    assert "onnxruntime: every stage is within its share" in shown


def test_pixels_outside_change_nothing(case, built):
    """Rows and columns outside the rectangle are not read; outside a mask the map is 0."""
    path, bundle, _ = built(*case)
    model = load(path)
    generator = np.random.default_rng(0)
    frame = generator.integers(0, 256, (*FRAME, 3), dtype=np.uint8)
    top, left, bottom, right = model.geometry.box(FRAME)
    other = generator.integers(0, 256, (*FRAME, 3), dtype=np.uint8)
    other[top:bottom, left:right] = frame[top:bottom, left:right]
    with Inspector.open(bundle) as inspector:
        # One by one: places in a batch may round differently.
        (one,), (two,) = map(inspector.predict_batch, ([frame], [other]))
    assert one.score == two.score
    np.testing.assert_array_equal(one.anomaly_map, two.anomaly_map)
    if case[1] == "mask":
        inside = model.pipeline.region.inside.numpy()
        assert not one.anomaly_map[~inside].any()
        assert one.anomaly_map[inside].all()


def test_overlays_lie_over_the_region(built):
    _, bundle, _ = built("patchcore", "mask")
    manifest = Bundle.open(bundle).manifest
    frame = np.full((*FRAME, 3), 128, np.uint8)
    heat = np.full(manifest.geometry.image, 1e6)
    drawn = overlay(frame, heat, manifest.decision, manifest.geometry)
    top, left, bottom, right = manifest.geometry.pixel_window(FRAME)
    changed = (drawn != frame).any(axis=2)
    assert changed[top:bottom, left:right].all()
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert (top, left) > (10, 20) and (bottom, right) < (80, 110)


def test_predict_and_inspect_know_the_region(built, pictures, tmp_path, capsys):
    path, bundle, _ = built("patchcore", "mask")
    folder = pictures / "test" / "good"
    options = ("-o", tmp_path / "out", "--overlays")
    assert run("predict", bundle, folder, *options) == 0
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 3
    for shown in (path, bundle):
        capsys.readouterr()
        assert run("inspect", shown) == 0
        text = capsys.readouterr().out
        assert "rows 10.42% to 83.33%" in text and "with a mask" in text


def test_a_forged_region_fails_the_proof(built, tmp_path, capsys):
    path, bundle, _ = built("patchcore", "mask")
    fields = Bundle.open(bundle).manifest.model_dump(
        exclude={"files", "digest"}
    )
    forged = tmp_path / "forged.anomedge"
    forged.mkdir()
    for file in bundle.rglob("*"):
        if file.is_file() and file.name != "manifest.json":
            target = forged / file.relative_to(bundle)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    fields["image"]["region"] = (0.0, 0.0, 1.0, 1.0)
    write_manifest(forged, fields)
    assert run("verify", forged, "--model", path, "--batch", "1") != 0
    shown = capsys.readouterr()
    assert "geometry" in shown.out + shown.err
    fields["image"]["region"] = (0.5, 0.0, 0.2, 1.0)
    (forged / "manifest.json").unlink()
    with pytest.raises(InputError, match="fractions"):
        write_manifest(forged, fields)


@pytest.mark.filterwarnings(
    "ignore::anomedge.pipelines.decision.SmallSampleWarning"
)
def test_the_command_takes_a_region(pictures, tmp_path, capsys):
    arguments = [
        "fit", "padim", pictures / "train", "-o", tmp_path / "m.safetensors", "--size", "64x72", "--backbone",
        "test_efficientnet", "--weights", "random", "--held-back", pictures / "held_back",
    ]  # fmt: skip
    assert run(*arguments, "--roi", "0.1,0.2,0.8,0.6") == 0
    region = load(tmp_path / "m.safetensors").geometry.region
    assert region == (0.2, 0.1, 0.8, 0.9)
    assert run(*arguments, "--force", "--roi", "0,0,500,20") == 2
    assert "within the pictures of 128 x 96" in capsys.readouterr().err


@pytest.mark.slow
def test_tensorrt_rtx_parses_and_builds_it(case, built):
    pytest.importorskip("tensorrt_rtx")
    _, bundle, _ = built(*case)
    verdict = ask("rtx", bundle / "model.onnx", "2", 300)
    assert not verdict.faults, verdict
