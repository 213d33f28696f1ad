"""Model files: they round-trip, are whole or refused, and take no more memory than their bytes."""

import copy
import dataclasses
import shutil
import struct
from importlib.metadata import version

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import anomedge
from anomedge.errors import ModelError, OutputError
from anomedge.files import sha256_of_file
from anomedge.pipelines import model as model_file
from anomedge.pipelines.model import Card, load, save
from tests.pipelines.model_files import rewritten


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


@pytest.mark.slow
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


def card(**more):
    return Card(
        seed=0,
        fitted=("a", "b"),
        weights="random",
        tools={},
        licence={},
        **more,
    )


def test_the_pictures_of_an_imported_detector_are_unknown():
    assert card().known == {"a", "b"}
    imported = card(imported="0" * 64)
    assert imported.known is None
    assert imported.model_dump()["imported"] == "0" * 64
    assert "imported" not in card().model_dump()


def test_the_tools_of_a_fit_are_recorded():
    found = model_file.tool_versions()
    assert found["anomedge"] == anomedge.__version__
    assert found["torch"] == version("torch")
    assert "pytest" not in found
