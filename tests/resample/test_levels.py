"""Pictures of 9 to 16 bits per channel: levels are stored in the model and applied everywhere alike."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from anomedge import Inspector
from anomedge.bundle import Bundle, write_manifest
from anomedge.errors import InputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.proof import pictures_of, reference_from_model
from anomedge.images import list_pictures, read_picture
from anomedge.parity import prove
from anomedge.pipelines.fitting import SmallSampleWarning, fit
from anomedge.pipelines.model import load, save
from anomedge.resample.levels import Levels
from anomedge.station import SourceOptions, open_source
from anomedge.station.calibration import recalibrate
from anomedge.verification import certify, plan_of
from tests.commands.running import run
from tests.conftest import build_once, tiny_options
from tests.images.deep_pictures import LEVELS, save_deep


@pytest.fixture(scope="module")
def deep(pictures, tmp_path_factory):
    """The grey session pictures with 12 bits, mono12 in 16, in PNG and TIFF."""
    root = tmp_path_factory.mktemp("deep")
    for number, path in enumerate(list_pictures(pictures)):
        grey = read_picture(path)[..., 1].astype(np.uint16)
        suffix = (".png", ".tif")[number % 2]
        target = (root / path.relative_to(pictures)).with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        save_deep(target, 16 * grey)
    return root


@pytest.fixture(scope="module")
def model_path(deep, tmp_path_factory):
    def build(root):
        options = replace(tiny_options(deep), levels=LEVELS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallSampleWarning)
            save(fit("padim", deep / "train", options), root / "m.safetensors")

    return build_once(tmp_path_factory, "model-levels", build) / "m.safetensors"


@pytest.fixture(scope="module")
def levels_path(model_path, deep, tmp_path_factory):
    def build(root):
        options = ExportOptions(
            frame=(96, 128),
            golden=[deep / "test"],
            runtimes=["onnxruntime"],
            batches=[1],
        )
        export(model_path, root / "b.anomedge", options)

    return build_once(tmp_path_factory, "bundle-levels", build) / "b.anomedge"


def test_the_mapping_is_linear_clipped_and_rounded():
    values = np.array([[0, 999, 1000, 1500, 1999, 2000, 65535]], np.uint16)
    mapped = Levels(1000, 2000).apply(values)
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == [[0, 0, 0, 128, 255, 255, 255]]
    whole = np.arange(256, dtype=np.uint16)
    assert np.array_equal(LEVELS.apply(16 * whole), whole)


@pytest.mark.parametrize("wrong", [(5, 5), (9, 4), (-1, 5), (0, 65536)])
def test_wrong_levels_are_refused(wrong):
    with pytest.raises(InputError, match="expected LOW below HIGH"):
        Levels.checked(*wrong)


def test_the_model_file_keeps_the_levels(model_path, model_paths, tmp_path):
    model = load(model_path)
    assert model.levels == LEVELS
    save(model, tmp_path / "again.safetensors")
    again = (tmp_path / "again.safetensors").read_bytes()
    assert again == model_path.read_bytes()
    assert load(model_paths["padim"]).levels is None
    assert b"levels" not in model_paths["padim"].read_bytes()[:100_000]


def test_the_bundle_states_the_levels_only_where_there_are_some(
    levels_path, bundle
):
    def image(path):
        return json.loads((path / "manifest.json").read_text())["image"]

    assert image(levels_path)["levels"] == [0, 4080]
    assert "levels" not in image(bundle.path)
    assert Bundle.open(levels_path).manifest.levels == LEVELS


def test_a_device_proves_it_on_the_golden_frames(levels_path):
    opened = Bundle.open(levels_path)
    assert certify(opened, plan_of(opened, ["onnxruntime"], [1])).passed


@pytest.mark.slow
def test_proofs_read_pictures_with_the_levels(levels_path, model_path, deep):
    opened = Bundle.open(levels_path)
    plan = plan_of(opened, ["onnxruntime"], [1])
    certificate = certify(opened, plan, model_path, [deep / "test" / "good"])
    assert certificate.passed, certificate.failures


def test_a_bundle_with_other_levels_fails_the_proof(
    levels_path, model_path, deep, tmp_path
):
    root = tmp_path / "b.anomedge"
    shutil.copytree(levels_path, root)
    fields = Bundle.open(root).manifest.model_dump(exclude={"files", "digest"})
    fields["image"]["levels"] = (0, 4095)
    (root / "manifest.json").unlink()
    write_manifest(root, fields)
    opened = Bundle.open(root)
    given = pictures_of([deep / "test" / "good"], (96, 128), LEVELS)
    reference = reference_from_model(
        load(model_path), model_path, given, (96, 128), 0, opened
    )
    plan = plan_of(opened, ["onnxruntime"], [1])
    failures = prove(opened, reference, plan).failures
    assert "has levels" in "".join(failures)


def test_inspection_applies_the_levels(levels_path, deep, pictures, capsys):
    path = list_pictures(deep / "test")[0]
    with Inspector.open(levels_path, runtime="onnxruntime") as inspector:
        from_file = inspector.predict(path).score
        frame = inspector.read(path)
        values = 16 * frame[..., 0].astype(np.uint16)
        from_array, from_frame, from_batch = (
            inspector.predict(values).score,
            inspector.predict(frame).score,
            inspector.predict(np.stack([16 * frame.astype(np.uint16)]))[
                0
            ].score,
        )
        settings = recalibrate(
            inspector, list_pictures(deep / "held_back"), "held", 0.4
        )
        with pytest.raises(InputError, match="expected 9 to 16"):
            inspector.predict(list_pictures(pictures / "test")[0])
    assert from_file == from_array == from_frame == from_batch
    assert np.isfinite(settings.threshold)
    assert run("predict", levels_path, path, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["score"] == from_file


def test_a_station_reads_folders_with_the_levels(levels_path, deep, capsys):
    folder = deep / "held_back"
    assert run("watch", levels_path, folder, "--once") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    frames = [line for line in lines if line["event"] == "frame"]
    assert len(frames) == len(list_pictures(folder))


def test_a_camera_has_no_deep_frames():
    with pytest.raises(InputError, match="frames have 8 bits a channel"):
        open_source("0", SourceOptions(levels=LEVELS))


def test_the_command_line_checks_levels_before_the_fit(deep, tmp_path, capsys):
    arguments = ("fit", "padim", deep / "train", "-o", tmp_path / "m.safetensors")  # fmt: skip
    assert run(*arguments, "--levels", "9", "4") == 2
    assert "got levels 9 4; expected LOW below HIGH" in capsys.readouterr().err
    assert run(*arguments, "--backbone", "test_efficientnet", "--weights", "random") == 2  # fmt: skip
    assert "--levels LOW HIGH" in capsys.readouterr().err


def test_inspect_shows_the_levels(levels_path, model_path, capsys):
    for path in (levels_path, model_path):
        assert run("inspect", path) == 0
        assert "levels 0 to 4080" in capsys.readouterr().out
