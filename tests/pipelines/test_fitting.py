import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anomedge.errors import InputError, ModelError, OutputError
from anomedge.images import list_pictures
from anomedge.pipelines import available, get
from anomedge.pipelines.fitting import SmallSampleWarning, fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry
from tests.conftest import tiny_options


def test_directory_is_the_registry():
    assert available() == ["padim", "patchcore"]
    with pytest.raises(InputError, match="padim, patchcore"):
        get("fastflow")


def test_same_seed_same_bytes_in_any_directory_and_process(detector, model_paths, pictures, tmp_path):
    (tmp_path / "elsewhere").symlink_to(pictures)
    code = (
        "import sys, warnings; from pathlib import Path; warnings.simplefilter('ignore')\n"
        "from anomedge.__main__ import main\nsys.exit(main())"
    )
    command = [
        "fit", detector, "elsewhere/train", "-o", "model.safetensors", "--size", "72x80", "--crop", "64x72",
        "--backbone", "test_efficientnet", "--weights", "random", "--held-back", "elsewhere/held_back",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.safetensors").read_bytes() == model_paths[detector].read_bytes()


def test_model_round_trips(detector, models, tmp_path):
    save(models[detector], tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors")
    assert again.decision == models[detector].decision
    assert again.card == models[detector].card
    images = torch.rand(2, 3, 64, 72)
    with torch.no_grad():
        for one, two in zip(models[detector].pipeline(images), again.pipeline(images), strict=True):
            assert torch.equal(one, two)
    with pytest.raises(OutputError, match="exists"):
        save(again, tmp_path / "again.safetensors")


def test_no_path_of_this_machine_is_in_a_model(detector, model_paths, pictures):
    assert str(pictures).encode() not in model_paths[detector].read_bytes()


def test_small_samples_are_warned_of_and_recorded(pictures):
    with pytest.warns(SmallSampleWarning, match="got 6 held-back normal pictures; expected at least 100"):
        model = fit("padim", pictures / "train", tiny_options(pictures))
    origin = model.decision.origin
    assert (origin.rule, origin.rate, origin.normal, origin.extrapolated) == ("false-alarm-rate", 0.01, 6, True)
    assert origin.margin > 0
    assert len(model.card.fitted) == 8


def test_a_share_is_held_back_by_default(pictures):
    with pytest.warns(SmallSampleWarning):
        model = fit("padim", pictures / "train", tiny_options(pictures, held_back=None, holdout=0.25))
    assert (model.decision.origin.normal, len(model.card.fitted)) == (2, 6)
    with pytest.raises(InputError, match="between 0 and 1"):
        fit("padim", pictures / "train", tiny_options(pictures, held_back=None, holdout=1.5))


def test_labelled_pictures_give_the_best_f1(pictures, detector):
    model = fit(detector, pictures / "train", tiny_options(pictures, held_back=None, labelled=pictures))
    origin = model.decision.origin
    assert (origin.rule, origin.rate, origin.normal, origin.anomalous) == ("f1", None, 3, 4)
    with pytest.raises(InputError, match="expected `good` and others"):
        fit(detector, pictures / "train", tiny_options(pictures, held_back=None, labelled=pictures / "train"))


def test_pictures_of_mixed_sizes(pictures, tmp_path):
    for number, path in enumerate(list_pictures(pictures / "train")):
        image = Image.open(path)
        image.resize((90 + 10 * number, 70 + 5 * number)).save(tmp_path / path.name)
    with pytest.warns(SmallSampleWarning):
        model = fit("patchcore", tmp_path, tiny_options(pictures))
    assert model.pipeline.config.size == (64, 72)


def test_too_few_pictures(pictures, tmp_path):
    for count in (1, 3):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / f"{count}.png")
    with pytest.raises(InputError, match="expected at least 2"):
        fit("padim", tmp_path, tiny_options(pictures, held_back=None))


@pytest.mark.parametrize("labelled", [False, True])
def test_features_that_never_change_are_refused(pictures, labelled):
    """Such a detector would call nothing anomalous, at a threshold of 1e-39."""
    blind = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4))
    nn.init.zeros_(blind[0].weight)
    sample = {"held_back": None, "labelled": pictures / "test"} if labelled else {}
    options = tiny_options(pictures, backbone=blind, layers=["0"], weights=None, **sample)
    with pytest.raises(InputError, match=r"got score 0 for all .* normal pictures"):
        fit("padim", pictures / "train", options)


def test_images_smaller_than_the_blur(pictures):
    with pytest.raises(InputError, match="enlarge --size"):
        fit("padim", pictures / "train", tiny_options(pictures, geometry=Geometry((16, 16))))


def rewritten(path, change):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["anomedge"])
    change(header, inner)
    header["__metadata__"]["anomedge"] = json.dumps(inner)
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data[8 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda h, m: m.update(schema_version=2),
        lambda h, m: m.update(detector="nothing"),
        lambda h, m: m.pop("decision"),
        lambda h, m: m["config"].update(size=[16384, 16384]),
        lambda h, m: m["config"].update(size=[64, 10**9]),
        lambda h, m: m["config"].update(channels=[0, 1]),
        lambda h, m: m["config"].update(backbone="hf-hub:someone/else"),
        lambda h, m: m["decision"].update(threshold=float("nan")),
        lambda h, m: m["config"].update(layers=["blocks.1"]),
    ],
)
def test_models_that_claim_otherwise_are_refused(model_paths, tmp_path, change):
    path = tmp_path / "model.safetensors"
    path.write_bytes(rewritten(model_paths["padim"], change))
    with pytest.raises((ModelError, InputError)):
        load(path)


def test_damaged_models_are_refused(model_paths, tmp_path):
    data = model_paths["padim"].read_bytes()
    for number, content in enumerate([b"", data[:100], data[: len(data) // 2], b"\xff" * 64, b"PK" + data]):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError):
            load(path)
    with pytest.raises(ModelError):
        load(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(("backbone", "match"), [("test_vit", "no layer of stride"), ("test_maxvit", "does not take")])
def test_backbones_that_do_not_fit_are_said(pictures, backbone, match):
    options = tiny_options(pictures, backbone=backbone, geometry=Geometry((72, 72)))
    with pytest.raises(ModelError, match=match):
        fit("patchcore", pictures / "train", options)


def test_pictures_are_fitted_on_or_held_back_never_both(pictures, tmp_path):
    shutil.copytree(pictures / "train" / "good", tmp_path / "normal")
    shutil.copytree(pictures / "held_back", tmp_path / "normal" / "held")
    with pytest.raises(InputError, match="6 held-back pictures that are fitted on as well"):
        fit("padim", tmp_path / "normal", tiny_options(pictures, held_back=tmp_path / "normal" / "held"))
    with pytest.raises(InputError, match="one of them"):
        fit("padim", pictures / "train", tiny_options(pictures, labelled=pictures))


def test_folders_with_anomalous_pictures_are_not_fitted_on(pictures):
    for folder in (pictures, pictures / "test"):
        with pytest.raises(InputError, match="holds anomalous pictures"):
            fit("padim", folder, tiny_options(pictures))


@pytest.mark.parametrize(
    ("detector", "options"),
    [("padim", {"n_features": 0}), ("patchcore", {"num_neighbors": 2000}), ("padim", {"sigma": -1.0})],
)
def test_options_out_of_range_are_said(pictures, detector, options):
    with pytest.raises(InputError, match="expected"):
        fit(detector, pictures / "train", tiny_options(pictures, detector=options))
