import copy
import dataclasses
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
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from anomedge.bundle import Bundle
from anomedge.errors import InputError, ModelError, OutputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.files import sha256_of_file
from anomedge.images import list_pictures
from anomedge.parity.stored import stored_certificates
from anomedge.pipelines import FitData, available, get
from anomedge.pipelines import model as model_file
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
from anomedge.pipelines.patchcore import Patchcore, PatchcoreOptions
from anomedge.resample import Geometry
from tests.conftest import FRAME, tiny_options


def test_directory_is_the_registry():
    plugins = {"anomalib"}
    assert set(available()) - plugins == {"padim", "patchcore"}
    with pytest.raises(InputError, match="padim, patchcore"):
        get("fastflow")


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


def test_model_round_trips(detector, models, tmp_path):
    save(models[detector], tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors")
    assert again.decision == models[detector].decision
    assert again.card == models[detector].card
    images = torch.rand(2, 3, 64, 72)
    with torch.no_grad():
        for one, two in zip(
            models[detector].pipeline(images),
            again.pipeline(images),
            strict=True,
        ):
            assert torch.equal(one, two)
    with pytest.raises(OutputError, match="exists"):
        save(again, tmp_path / "again.safetensors")


def test_no_path_of_this_machine_is_in_a_model(detector, model_paths, pictures):
    assert str(pictures).encode() not in model_paths[detector].read_bytes()


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
    with pytest.raises(InputError, match="expected at least 2"):
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


def test_patchcore_refuses_a_size_before_it_reads_pictures():
    class Unread:
        def __iter__(self):
            raise AssertionError("read")

    options = PatchcoreOptions(backbone="test_efficientnet", weights="random")
    with pytest.raises(InputError, match=r"got size\.0 = 4;"):
        Patchcore.fit(FitData(Unread(), size=(4, 64)), options)


def test_images_smaller_than_the_blur(pictures):
    with pytest.raises(InputError, match="enlarge --size"):
        fit(
            "padim",
            pictures / "train",
            tiny_options(pictures, geometry=Geometry((16, 16))),
        )


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
        lambda h, m: m.update(size=[64, 16385]),
        lambda h, m: m.update(crop=[1024, 1024]),
    ],
)
def test_models_that_claim_otherwise_are_refused(model_paths, tmp_path, change):
    path = tmp_path / "model.safetensors"
    path.write_bytes(rewritten(model_paths["padim"], change))
    with pytest.raises(ModelError):
        load(path)


def test_damaged_models_are_refused(model_paths, tmp_path):
    data = model_paths["padim"].read_bytes()
    for number, content in enumerate(
        [b"", data[:100], data[: len(data) // 2], b"\xff" * 64, b"PK" + data]
    ):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError):
            load(path)
    with pytest.raises(ModelError):
        load(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("backbone", "layers", "match"),
    [
        ("levit_128s", None, "no layer of stride"),
        (
            "test_vit",
            ["blocks.1"],
            r"test_vit does not take images of 72x88.*expected 64x80 or 80x96: give another --size",
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


def retyped(path, target, name, dtype):
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors[name] = tensors[name].to(dtype)
    save_file(tensors, target, metadata=metadata)
    return target


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.float64, torch.bfloat16, torch.int32]
)
def test_statistics_of_another_type_are_refused_by_name(
    model_paths, tmp_path, dtype
):
    path = retyped(
        model_paths["patchcore"],
        tmp_path / "model.safetensors",
        "bank.centre",
        dtype,
    )
    with pytest.raises(
        ModelError, match=r"tensor bank\.centre has type \w+; expected F32"
    ):
        load(path)
    path = retyped(
        model_paths["patchcore"],
        tmp_path / "other.safetensors",
        "bank.neighbors",
        torch.float32,
    )
    with pytest.raises(
        ModelError, match=r"tensor bank\.neighbors has type F32; expected int32"
    ):
        load(path)


def test_a_backbone_that_the_file_does_not_hold_is_never_built(
    model_paths, tmp_path, monkeypatch
):
    """A file of 370 kB naming a backbone of 1 billion parameters took 5 GB before it was refused."""

    def huge(header, inner):
        inner["config"].update(
            backbone="vit_giant_patch14_224", layers=["blocks.1"]
        )

    def never(*_):
        raise AssertionError("the detector was built")

    path = tmp_path / "model.safetensors"
    path.write_bytes(rewritten(model_paths["patchcore"], huge))
    monkeypatch.setattr(model_file, "_skeleton", never)
    with pytest.raises(
        ModelError,
        match=r"tensors are not what its detector has|does not take images",
    ):
        load(path)


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (
            b'{"__metadata__":{"anomedge":"' + b"a" * (17 << 20) + b'"}}',
            "does not begin as one",
        ),
        (
            b'{"__metadata__":{"anomedge":[' + b"{}," * 400_000 + b"{}]}}",
            "header has over 400,000 parts",
        ),
        (
            b'{"__metadata__":' + b"[" * 300_000 + b"]" * 300_000 + b"}",
            "is no model",
        ),
    ],
)
def test_headers_that_would_take_memory_are_refused_unread(
    tmp_path, monkeypatch, header, match
):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    if "parts" in match or "begin" in match:
        monkeypatch.setattr(
            model_file, "parse_json", lambda raw: pytest.fail("parsed")
        )
    with pytest.raises(ModelError, match=match):
        load(path)


def test_a_model_whose_header_could_not_be_read_again_is_not_written(
    models, tmp_path
):
    model = models["padim"]
    card = model.card.model_copy(update={"fitted": ("0" * 64,) * 200_001})
    with pytest.raises(ModelError, match="200001 pictures"):
        save(
            dataclasses.replace(model, card=card),
            tmp_path / "model.safetensors",
        )


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


@pytest.mark.parametrize("moment", ["header", "skeleton"])
def test_a_model_exchanged_while_it_is_read_is_not_mixed(
    model_paths, pictures, tmp_path, monkeypatch, moment
):
    """Decision, tensors and digest are those of one file, whenever `fit --force` puts another in its place."""
    path, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    shutil.copy(model_paths["padim"], path)
    first = load(path)
    changed = copy.deepcopy(first.pipeline)
    changed.gaussian.mean += 1
    decision = first.decision.model_copy(update={"threshold": 1e9})
    save(dataclasses.replace(first, pipeline=changed, decision=decision), other)
    name = f"_{moment}"
    original = getattr(model_file, name)

    def exchanging(*arguments):
        done = original(*arguments)
        if other.exists():
            other.replace(path)
        return done

    monkeypatch.setattr(model_file, name, exchanging)
    loaded = load(path)
    assert not other.exists()
    assert loaded.decision == first.decision
    assert torch.equal(
        loaded.pipeline.gaussian.mean, first.pipeline.gaussian.mean
    )
    assert loaded.digest == first.digest == sha256_of_file(model_paths["padim"])
    assert load(path).digest == sha256_of_file(path) != first.digest


def test_a_model_that_is_overwritten_later_stays_what_was_read(
    model_paths, tmp_path
):
    """safetensors' reader maps the file: pages not yet used changed with it, and a shorter file was a SIGBUS."""
    path = tmp_path / "model.safetensors"
    shutil.copy(model_paths["padim"], path)
    state = load(path).pipeline.state_dict()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
    expected = load(model_paths["padim"]).pipeline.state_dict()
    assert all(
        torch.equal(tensor, expected[name]) for name, tensor in state.items()
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda entry: entry.update(data_offsets=[entry["data_offsets"][0] + 4, entry["data_offsets"][1]]), "lies at bytes"),
        (lambda entry: entry.update(data_offsets=[0, 4]), "lies at bytes"),
        (lambda entry: entry.update(data_offsets=entry["data_offsets"][::-1]), "lies at bytes"),
        (lambda entry: entry.update(data_offsets=[-4, 0]), "greater than or equal to 0"),
        (lambda entry: entry.update(shape="64"), "shape"),
        (lambda entry: entry.update(more=1), "more"),
    ],
)  # fmt: skip
def test_tensors_that_overlap_or_leave_gaps_are_refused(
    model_paths, tmp_path, change, match
):
    path = tmp_path / "model.safetensors"
    path.write_bytes(
        rewritten(
            model_paths["padim"],
            lambda header, _: change(header["gaussian.mean"]),
        )
    )
    with pytest.raises(ModelError, match=match):
        load(path)


@pytest.mark.parametrize("wrong", [-1, 1])
def test_models_of_another_length_are_refused(model_paths, tmp_path, wrong):
    data = model_paths["padim"].read_bytes()
    path = tmp_path / "model.safetensors"
    path.write_bytes(data[:-1] if wrong < 0 else data + b"\0")
    with pytest.raises(
        ModelError,
        match=r"got \d+ bytes of tensors; expected \d+\); expected a whole model",
    ):
        load(path)
