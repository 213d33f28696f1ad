"""Whole imports: files in anomalib's structure, and real ones of the shared folder; then export and proof."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from anomedge.bundle import Bundle
from anomedge.commands._threshold_lines import threshold_lines
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.errors import ModelError
from anomedge.export.bundling import ExportOptions, export
from anomedge.files import sha256_of_file
from anomedge.interop.anomalib import read_foreign
from anomedge.interop.decision import SHIFT
from anomedge.interop.import_file import ImportOptions, import_file
from anomedge.interop.planning import Chosen
from anomedge.pipelines.model import load, save
from tests.commands.running import run
from tests.interop.anomalib import builder, graphs

SHARED = Path(__file__).parents[3] / "shared" / "data" / "checkpoints"
FILES = sorted(SHARED.glob("*.ckpt"))
FRAME = (48, 64)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    counts = PictureSet(frame=FRAME, train=2, held_back=3, good=2, bad=1)
    write_pictures(folder, counts)
    return folder


@pytest.fixture(params=["padim", "patchcore"])
def checkpoint(request, tmp_path) -> Path:
    path = tmp_path / f"{request.param}.ckpt"
    torch.save(builder.checkpoint_27(request.param), path)
    return path


def test_thresholds_are_the_files_with_its_sensitivities(checkpoint):
    """Image: 5.0. Pixel: not set, so 5.0 too, with the sensitivity 0.25 of a range of 6.5."""
    model, taken, left_out = import_file(checkpoint, ImportOptions())
    decision = model.decision
    assert decision.scale == pytest.approx(0.25)
    assert decision.threshold == pytest.approx(5 + SHIFT * 0.25)
    maps = 5 + 0.25 * 6.5
    assert decision.threshold_of_map == pytest.approx(maps * (1 + SHIFT / 20))
    assert (decision.minimum, decision.maximum) == (4.0, 7.0)
    shown = [str(line) for line in taken]
    assert any(line.startswith("pixel threshold: none") for line in shown)
    assert left_out == {}


@pytest.mark.parametrize("validated", [True, False])
def test_a_checkpoint_of_version_1_is_lowered_if_it_was_validated(
    tmp_path, validated
):
    path = tmp_path / "old.ckpt"
    content = builder.checkpoint_1("padim", validated=validated)
    torch.save(content, path)
    with read_foreign(path) as foreign:
        stored = foreign.thresholds
    assert (stored.image_threshold is None) is not validated
    options = ImportOptions(size=builder.SIZE)
    if not validated:
        options = ImportOptions(size=builder.SIZE, chosen=Chosen(3.0, 2.0))
    decision = import_file(path, options).model.decision
    if validated:
        assert decision.threshold == pytest.approx(3.5 * (1 - SHIFT / 20))
        assert decision.threshold < 3.5
    else:
        assert (decision.threshold, decision.pixel_threshold) == (3.0, 2.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:got .* pictures blended:UserWarning")
@pytest.mark.filterwarnings(
    "ignore::anomedge.interop.decision.UnsuitableThresholdWarning"
)
def test_an_imported_model_is_exported_proven_and_reported(
    checkpoint, scenes, tmp_path
):
    target = tmp_path / "model.safetensors"
    given = ["-o", target, "--held-back", scenes / "held_back"]
    assert run("import", checkpoint, *given) == 0
    model = load(target)
    assert model.decision.origin.normal == 3
    bundle = tmp_path / "part.anomedge"
    options = ExportOptions(frame=FRAME, golden=[scenes / "test"], batches=[1])
    assert export(target, bundle, options).passed
    test = ["--images", scenes / "test", "--model", target]
    assert run("verify", bundle, *test, "--batch", 1) == 0
    opened = Bundle.open(bundle)
    name = f"{checkpoint.name} (anomalib 2.7)"
    assert name in threshold_lines(opened, None)[0]
    page = tmp_path / "report.html"
    assert run("report", bundle, "-o", page, *test, "--batch", 1) == 0
    text = page.read_text()
    assert f"imported from {name}" in text
    assert "unknown which were fitted on" in text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_real_checkpoints_are_imported(file, tmp_path):
    with read_foreign(file) as foreign:
        stored, version = foreign.thresholds, foreign.version
    model = import_file(file, ImportOptions()).model
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.card.imported == foreign.digest
    shift = loaded.decision.threshold - stored.image_threshold
    assert abs(shift) == pytest.approx(SHIFT * loaded.decision.scale, rel=1e-6)
    assert (shift < 0) is version.startswith("1.")
    images = torch.rand(1, 3, *loaded.geometry.image)
    with torch.no_grad():
        score = loaded.pipeline(images).score.numpy()
        np.testing.assert_array_equal(
            score, model.pipeline(images).score.numpy()
        )
    assert np.isfinite(score).all()


def test_weights_that_give_no_finite_score_are_refused(tmp_path):
    state = builder.model_state("patchcore")
    state["feature_extractor.feature_extractor.bn1.running_var"].fill_(-1)
    content = builder.checkpoint_27("patchcore", state)
    path = builder.saved(content, tmp_path)
    with pytest.raises(ModelError, match="the score nan of a grey image"):
        import_file(path, ImportOptions())


def test_the_card_covers_files_beside_a_graph(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="b")
    model = import_file(path, ImportOptions()).model
    assert model.card.imported == sha256_of_file(path)
    digest = sha256_of_file(tmp_path / "b")
    assert model.card.imported_beside == {"b": digest}
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").card == model.card


def test_cards_without_files_beside_are_as_before(checkpoint):
    card = import_file(checkpoint, ImportOptions()).model.card
    assert "imported_beside" not in card.model_dump()
