import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anomedge.bundle import Bundle
from anomedge.errors import InputError, ModelError
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import list_pictures
from anomedge.parity.stored import stored_certificates
from anomedge.pipelines.decision import Rule
from anomedge.pipelines.fitting import (
    DefaultLayersWarning,
    FlatFeaturesWarning,
    InsensitiveWarning,
    SmallSampleWarning,
    VaryingSizesWarning,
    fit,
)
from anomedge.pipelines.model import load, save
from anomedge.pipelines.patchcore import Patchcore
from anomedge.resample import Geometry
from tests.conftest import FRAME, tiny_options


@pytest.mark.slow
def test_same_seed_same_bytes_in_any_directory_and_process(
    detector, model_paths, pictures, tmp_path
):
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
        [sys.executable, "-c", code, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.safetensors").read_bytes() == model_paths[
        detector
    ].read_bytes()


def test_small_samples_are_warned_of_and_recorded(pictures):
    with pytest.warns(
        SmallSampleWarning,
        match="got 6 normal pictures; expected at least 100",
    ):
        model = fit("padim", pictures / "train", tiny_options(pictures))
    origin = model.decision.origin
    assert (origin.rule, origin.rate, origin.normal, origin.extrapolated) == (
        "false-alarm-rate",
        0.01,
        6,
        True,
    )
    assert origin.margin > 0
    assert len(model.card.fitted) == 8


def test_a_share_is_held_back_on_request(pictures):
    with pytest.warns(SmallSampleWarning):
        model = fit(
            "padim",
            pictures / "train",
            tiny_options(pictures, held_back=None, holdout=0.25),
        )
    assert model.decision.origin.folds is None
    assert (model.decision.origin.normal, len(model.card.fitted)) == (2, 6)
    with pytest.raises(InputError, match="between 0 and 1"):
        fit(
            "padim",
            pictures / "train",
            tiny_options(pictures, held_back=None, holdout=1.5),
        )


@pytest.mark.filterwarnings("ignore:the threshold catches")
def test_labelled_pictures_give_the_best_f1(pictures, detector):
    model = fit(
        detector,
        pictures / "train",
        tiny_options(pictures, held_back=None, labelled=pictures),
    )
    origin = model.decision.origin
    assert (origin.rule, origin.rate, origin.normal, origin.anomalous) == (
        "f1",
        None,
        3,
        4,
    )
    with pytest.raises(InputError, match="expected `good` and others"):
        fit(
            detector,
            pictures / "train",
            tiny_options(pictures, held_back=None, labelled=pictures / "train"),
        )


def test_pictures_of_mixed_sizes(pictures, tmp_path):
    for number, path in enumerate(list_pictures(pictures / "train")):
        image = Image.open(path)
        image.resize((90 + 10 * number, 70 + 5 * number)).save(
            tmp_path / path.name
        )
    with (
        pytest.warns(SmallSampleWarning),
        pytest.warns(VaryingSizesWarning, match="sizes"),
    ):
        model = fit("patchcore", tmp_path, tiny_options(pictures))
    assert model.pipeline.config.size == (64, 72)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rule": Rule("balanced")}, "got 6 normal pictures .* at least 10"),
        ({"folds": 3}, "got folds or a holdout beside"),
        ({"holdout": 0.5}, "got folds or a holdout beside"),
    ],
)
def test_options_of_the_threshold_are_refused_before_the_fit(
    pictures, monkeypatch, more, message
):
    monkeypatch.setattr(Patchcore, "fit", None)
    with pytest.raises(InputError, match=message):
        fit("patchcore", pictures / "train", tiny_options(pictures, **more))


@pytest.mark.filterwarnings("default::UserWarning")
def test_labels_that_no_threshold_separates_are_said(pictures, tmp_path):
    for number, path in enumerate(list_pictures(pictures / "held_back")):
        kind = ("good", "bad")[number % 2]
        (tmp_path / kind).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / kind / path.name)
    options = tiny_options(
        pictures,
        held_back=None,
        labelled=tmp_path,
        rule=Rule(recall=1.0),
    )
    with pytest.warns(InsensitiveWarning, match="catches 3 of 3 labelled"):
        model = fit("padim", pictures / "train", options)
    origin = model.decision.origin
    assert (origin.caught, origin.anomalous, origin.normal) == (3, 3, 3)
    assert origin.alarms > 0


def test_too_few_pictures(pictures, tmp_path):
    for count in (1, 3):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(
            tmp_path / f"{count}.png"
        )
    with pytest.raises(InputError, match="expected at least 4"):
        fit("padim", tmp_path, tiny_options(pictures, held_back=None))


@pytest.mark.parametrize("labelled", [False, True])
def test_features_that_never_change_are_refused(pictures, labelled):
    """Such a detector would call nothing anomalous, at a threshold of 1e-39."""
    blind = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4))
    nn.init.zeros_(blind[0].weight)
    sample = (
        {"held_back": None, "labelled": pictures / "test"} if labelled else {}
    )
    options = tiny_options(
        pictures, backbone=blind, layers=["0"], weights=None, **sample
    )
    with pytest.raises(
        InputError, match=r"got score 0 for all .* normal pictures"
    ):
        fit("padim", pictures / "train", options)


def test_images_smaller_than_the_blur(pictures):
    with pytest.raises(InputError, match=r"enlarge --size .--crop or --tile"):
        fit(
            "padim",
            pictures / "train",
            tiny_options(pictures, geometry=Geometry((16, 16))),
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "layers", "match"),
    [
        ("levit_128s", None, "no layer of stride"),
        (
            "test_vit",
            ["blocks.1"],
            r"test_vit does not take images of 72x88.*expected 64x80 or 80x96: give another --size .--crop or --tile",
        ),
        (
            "test_maxvit",
            None,
            "test_maxvit does not take images of 72x88.*expected",
        ),
    ],
)
def test_backbones_that_do_not_fit_are_said(pictures, backbone, layers, match):
    options = tiny_options(
        pictures, backbone=backbone, layers=layers, geometry=Geometry((72, 88))
    )
    with pytest.raises(ModelError, match=match):
        fit("patchcore", pictures / "train", options)


def test_pictures_are_fitted_on_or_held_back_never_both(pictures, tmp_path):
    shutil.copytree(pictures / "train" / "good", tmp_path / "normal")
    shutil.copytree(pictures / "held_back", tmp_path / "normal" / "held")
    with pytest.raises(
        InputError, match="6 held-back pictures that are fitted on as well"
    ):
        fit(
            "padim",
            tmp_path / "normal",
            tiny_options(pictures, held_back=tmp_path / "normal" / "held"),
        )
    with pytest.raises(InputError, match="one of them"):
        fit(
            "padim",
            pictures / "train",
            tiny_options(pictures, labelled=pictures),
        )


def test_folders_with_anomalous_pictures_are_not_fitted_on(pictures):
    for folder in (pictures, pictures / "test"):
        with pytest.raises(InputError, match="holds anomalous pictures"):
            fit("padim", folder, tiny_options(pictures))


@pytest.mark.parametrize(
    ("detector", "options"),
    [
        ("padim", {"features": 0}),
        ("patchcore", {"neighbors": 2000}),
        ("padim", {"sigma": -1.0}),
    ],
)
def test_options_out_of_range_are_said(pictures, detector, options):
    with pytest.raises(InputError, match="expected"):
        fit(
            detector,
            pictures / "train",
            tiny_options(pictures, detector=options),
        )


@pytest.mark.slow
def test_a_vit_of_another_size_is_fitted_loaded_and_exported(
    pictures, detector, tmp_path
):
    options = tiny_options(
        pictures, backbone="test_vit3", geometry=Geometry((64, 80))
    )
    with pytest.warns(UserWarning) as warned:
        model = fit(detector, pictures / "train", options)
    said = [
        str(w.message) for w in warned if w.category is DefaultLayersWarning
    ]
    assert len(said) == 1
    assert (
        f"using layers {', '.join(model.pipeline.config.layers)}, " in said[0]
    )
    save(model, tmp_path / "model.safetensors")
    images = torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        again = load(tmp_path / "model.safetensors").pipeline(images)
        assert torch.equal(
            again.anomaly_map, model.pipeline(images).anomaly_map
        )
    export(
        tmp_path / "model.safetensors",
        tmp_path / "b.anomedge",
        ExportOptions(frame=FRAME, golden=[pictures / "test"]),
    )
    assert [
        stored.passed
        for stored in stored_certificates(Bundle.open(tmp_path / "b.anomedge"))
    ] == [True]


class Untraceable(nn.Module):
    """A shape decides which way the images go: torch.fx cannot trace it. Its maps have their channels last."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 4, stride=4)
        self.last = nn.Identity()

    def forward(self, x):
        if x.shape[2] > 5000:
            return x
        return self.last(self.first(x).relu().permute(0, 2, 3, 1)).mean(
            dim=(1, 2)
        )


@pytest.mark.slow
def test_a_module_with_hooks_is_fitted_loaded_and_exported(pictures, tmp_path):
    torch.manual_seed(0)
    backbone = Untraceable()
    options = tiny_options(
        pictures, backbone=backbone, layers="last", weights=None
    )
    with pytest.warns(SmallSampleWarning):
        model = fit("patchcore", pictures / "train", options)
    save(model, tmp_path / "model.safetensors")
    exported = ExportOptions(
        frame=FRAME, golden=[pictures / "test"], backbone=backbone
    )
    export(tmp_path / "model.safetensors", tmp_path / "b.anomedge", exported)
    assert Bundle.open(tmp_path / "b.anomedge").manifest.config["layers"] == [
        "last"
    ]


class Flat(nn.Module):
    """Features 1 + variation x: the smaller the variation, the more of it float32 rounds away."""

    def __init__(self, variation):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 16, 4, stride=4)
        self.last = nn.Conv2d(16, 24, 1)
        with torch.no_grad():
            self.last.weight.mul_(variation)
            self.last.bias.fill_(1.0)

    def forward(self, x):
        return self.last(self.first(x).relu())


@pytest.mark.parametrize("variation", [1.0, 1e-4, 1e-5])
def test_features_that_barely_vary_are_warned_of(pictures, detector, variation):
    """Exports of the flat ones failed their proof, the one of the first did not."""
    options = tiny_options(
        pictures, backbone=Flat(variation), layers=["last"], weights=None
    )
    with pytest.warns(UserWarning) as warned:
        fit(detector, pictures / "train", options)
    said = [str(w.message) for w in warned if w.category is FlatFeaturesWarning]
    assert len(said) == (variation < 1)
    assert all("barely vary" in text and "--layers" in text for text in said)


@pytest.mark.filterwarnings("ignore:the threshold catches")
def test_a_target_recall_is_recorded(pictures, tmp_path):
    options = tiny_options(
        pictures, held_back=None, labelled=pictures, rule=Rule(recall=1.0)
    )
    model = fit("padim", pictures / "train", options)
    save(model, tmp_path / "m.safetensors")
    origin = load(tmp_path / "m.safetensors").decision.origin
    assert (origin.rule, origin.recall, origin.anomalous) == ("recall", 1.0, 4)
    assert origin.sensitivity is None
