"""Baking: the device's thresholds become those of a new bundle and of a model file that proves it."""

import shutil

import onnxruntime
import pytest

from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.errors import InputError
from anomedge.export.baking import bake, baked_path
from anomedge.files import sha256_of_file
from anomedge.pipelines.model import load
from tests.commands.running import run
from tests.conftest import RUNTIMES


@pytest.fixture
def local(bundle_paths, tmp_path):
    root = shutil.copytree(
        bundle_paths["padim"], tmp_path / "part.anomedge", symlinks=True
    )
    bundle = Bundle.open(root)
    decision = bundle.manifest.decision
    middle = (decision.threshold + decision.maximum) / 2 + decision.scale
    write_local(bundle, LocalSettings(threshold=middle, by="line 3"))
    return Bundle.open(root)


@pytest.mark.filterwarnings("default:.*is not the file that")
def test_the_new_bundle_and_its_model_file_decide_as_the_device(
    local, model_paths, tmp_path, capfd
):
    before = sha256_of_file(local.path / "manifest.json")
    target = tmp_path / "line3.anomedge"
    assert bake(
        local, model_paths["padim"], target, runtimes=RUNTIMES[:1]
    ).passed
    baked = Bundle.open(target)
    decision = baked.manifest.decision
    assert decision.threshold == local.decision.threshold
    assert decision.origin.rule == "baked"
    assert decision.origin.baked_from == local.manifest.digest
    assert load(baked_path(target)).decision == decision
    session = onnxruntime.InferenceSession(target / "model.onnx")
    stated = session.get_modelmeta().custom_metadata_map
    assert float(stated["anomedge.threshold"]) == decision.threshold
    assert sha256_of_file(local.path / "manifest.json") == before
    arguments = ["--runtime", RUNTIMES[0], "--batch", "1"]
    own = ["--model", baked_path(target)]
    assert run("verify", target, *own, *arguments) == 0
    capfd.readouterr()
    others = ["--model", model_paths["padim"]]
    assert run("verify", target, *others, *arguments) == 3
    assert "baked from bundle" in "".join(capfd.readouterr())


def test_without_thresholds_of_the_device_there_is_nothing_to_bake(
    bundle_paths, model_paths, tmp_path
):
    bundle = Bundle.open(bundle_paths["padim"])
    with pytest.raises(InputError, match="expected some to bake"):
        bake(bundle, model_paths["padim"], tmp_path / "new.anomedge")


def test_another_model_file_is_refused(local, model_paths, tmp_path):
    target = tmp_path / "new.anomedge"
    with pytest.raises(InputError, match="was exported from"):
        bake(local, model_paths["patchcore"], target)
    assert not target.exists()
    assert not baked_path(target).exists()


def test_a_bundle_in_its_source_is_refused(local, model_paths):
    target = local.path / "new.anomedge"
    with pytest.raises(InputError, match="expected a place outside"):
        bake(local, model_paths["padim"], target)
    Bundle.open(local.path)


def test_the_name_of_the_model_file_is_no_name_of_the_bundle(
    local, model_paths, tmp_path
):
    target = tmp_path / "new.safetensors"
    with pytest.raises(InputError, match=r"give new\.anomedge"):
        bake(local, model_paths["padim"], target)
    assert not target.exists()
