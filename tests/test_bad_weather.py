"""What goes wrong on a factory floor: one clear line, the right exit code, nothing half written.

Each test drives the command line as a person would; the parts' own tests hold the details.
"""

import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import load_file, save_file

from anomedge import runtimes
from anomedge.bundle import Bundle, read_manifest, write_manifest
from anomedge.errors import (
    InputError,
    IntegrityError,
    OutputError,
    RuntimeFailure,
)
from anomedge.files import atomic_directory, canonical_json, sha256_of_bytes
from tests.commands.running import run
from tests.conftest import FRAME

TINY = [
    "--size",
    "72x80",
    "--crop",
    "64x72",
    "--backbone",
    "test_efficientnet",
    "--weights",
    "random",
]
few_pictures = pytest.mark.filterwarnings(
    "ignore::anomedge.pipelines.fitting.SmallSampleWarning"
)


@pytest.fixture
def copy(bundle_paths, tmp_path) -> Path:
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], target)
    return target


def refused(capfd, *arguments, code=2) -> str:
    """Run a command that must fail, and return its one message."""
    assert run(*arguments) == code
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert sum(line.startswith("error:") for line in error.splitlines()) == 1, (
        error
    )
    return " ".join(error.split())


def resigned(root: Path) -> None:
    """Make a tampered bundle's own hashes right again: a digest is no signature."""
    fields = json.loads((root / "manifest.json").read_text())
    (root / "manifest.json").unlink()
    write_manifest(
        root,
        {
            key: value
            for key, value in fields.items()
            if key not in {"files", "digest"}
        },
    )


# --- bundles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "model.onnx",
        "stages.onnx",
        "openvino/model.bin",
        "golden/000.png",
        "manifest.json",
    ],
)
@pytest.mark.parametrize("harm", ["flipped", "truncated", "missing"])
def test_a_harmed_file(copy, pictures, tmp_path, capfd, name, harm):
    path = copy / name
    data = path.read_bytes()
    middle = len(data) // 2
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(
            data[:middle]
            + (bytes([data[middle] ^ 4]) + data[middle + 1 :])
            * (harm == "flipped")
        )
    said = refused(
        capfd, "predict", copy, pictures / "test", "-o", tmp_path / "out"
    )
    assert name.split("/")[-1] in said
    assert not (tmp_path / "out").exists()


def test_an_extra_file_and_a_link(copy, tmp_path, capfd):
    (copy / "golden" / "more.png").write_bytes(b"")
    assert "golden/more.png not in its manifest" in refused(
        capfd, "verify", copy
    )
    (copy / "golden" / "more.png").unlink()
    shutil.copytree(copy / "golden", tmp_path / "golden")
    shutil.rmtree(copy / "golden")
    (copy / "golden").symlink_to(tmp_path / "golden")
    assert "is a link" in refused(capfd, "verify", copy)


def manifest_with(root: Path, **changes) -> None:
    content = json.loads((root / "manifest.json").read_text()) | changes
    (root / "manifest.json").write_text(json.dumps(content))


def test_manifests(copy, capfd):
    before = (copy / "manifest.json").read_text()
    manifest_with(copy, schema_version=2)
    assert (
        "got schema version 2; expected 1: install a matching anomedge"
        in refused(capfd, "inspect", copy)
    )
    (copy / "manifest.json").write_text(before)
    manifest_with(copy, detector="patchcore")
    assert "its digest is not its content's" in refused(capfd, "inspect", copy)
    with (copy / "manifest.json").open("wb") as file:
        file.truncate(100 << 20)
    assert "got 104857600 bytes; expected at most" in refused(
        capfd, "inspect", copy
    )


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "golden/../../secret"]
)
def test_paths_out_of_a_bundle(copy, capfd, name):
    (copy.parent / "secret").write_text("secret")
    content = json.loads((copy / "manifest.json").read_text())
    content["files"][name] = {"bytes": 6, "sha256": sha256_of_bytes(b"secret")}
    content["golden"][0]["frame"] = name
    del content["digest"]
    (copy / "manifest.json").write_bytes(
        canonical_json(
            content | {"digest": sha256_of_bytes(canonical_json(content))}
        )
    )
    assert "missing" in refused(
        capfd, "inspect", copy
    )  # it is looked for inside, and only there
    with pytest.raises(IntegrityError, match="expected a plain path inside"):
        Bundle(copy, read_manifest(copy)).file(name)


def graph(node, weights=()) -> bytes:
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        [node], "g", [value("x", 1, [4])], [value("y", 1, [4])], list(weights)
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("foreign", 1)]
    return helper.make_model(
        made, opset_imports=sets, ir_version=8
    ).SerializeToString()


def test_external_data_outside_the_folder(tmp_path, runtime):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(16))
    for location in ("../secret", str(tmp_path / "secret")):
        weight = TensorProto(
            name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL
        )
        for key, value in (
            ("location", location),
            ("offset", "0"),
            ("length", "16"),
        ):
            weight.external_data.append(
                onnx.StringStringEntryProto(key=key, value=value)
            )
        (folder / "model.onnx").write_bytes(
            graph(helper.make_node("Add", ["x", "w"], ["y"]), [weight])
        )
        with pytest.raises(RuntimeFailure, match=r"could not open model\.onnx"):
            runtimes.open(folder / "model.onnx", runtime=runtime)


def test_a_foreign_operator(tmp_path, copy, runtime, capfd):
    foreign = graph(helper.make_node("Foo", ["x"], ["y"], domain="foreign"))
    (tmp_path / "model.onnx").write_bytes(foreign)
    with pytest.raises(RuntimeFailure, match="Foo"):
        runtimes.open(tmp_path / "model.onnx", runtime=runtime)
    (copy / "model.onnx").write_bytes(foreign)
    shutil.rmtree(copy / "openvino")
    content = json.loads((copy / "manifest.json").read_text())
    content["variants"]["fp32"]["openvino"] = None
    (copy / "manifest.json").write_text(json.dumps(content))
    resigned(copy)
    assert run("verify", copy, "--runtime", runtime) == 3
    assert (
        "bundle operators: model.onnx has operator 'Foo' of domain 'foreign'"
        in capfd.readouterr().err
    )


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, *FRAME, 3), np.float32),
        np.full((1, *FRAME, 3), np.nan, np.float32),
        np.full((1, *FRAME, 3), np.inf),
        np.zeros((1, *FRAME, 4), np.uint8),
        np.zeros((1, *FRAME), np.uint8),
        np.zeros((1, FRAME[1], FRAME[0], 3), np.uint8),
        np.zeros((1, *FRAME, 3), ">u2"),
        np.zeros((1, *FRAME, 3), object),
    ],
    ids=lambda frames: f"{frames.dtype}-{frames.shape}",
)
def test_wrong_arrays(bundle, runtime, frames):
    with (
        runtimes.open(bundle, runtime=runtime) as session,
        pytest.raises(
            InputError, match=r"got .*; expected uint8 \(any, 96, 128, 3\)"
        ),
    ):
        session.run({"frames": frames})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("detector", ["padim", "patchcore"])
def test_weights_that_are_not_finite(
    pictures, tmp_path, capfd, detector, value
):
    import timm

    state = timm.create_model(
        "test_efficientnet", pretrained=False
    ).state_dict()
    name = next(iter(state))
    state[name] = torch.full_like(state[name], value)
    save_file(state, tmp_path / "w.safetensors")
    arguments = [
        "fit",
        detector,
        pictures / "train",
        "-o",
        tmp_path / "m.safetensors",
        *TINY[:-1],
        tmp_path / "w.safetensors",
    ]
    assert "finite" in refused(capfd, *arguments)
    assert os.listdir(tmp_path) == ["w.safetensors"]


@pytest.mark.slow
def test_a_model_with_a_nan_in_it_is_not_published(
    model_paths, tmp_path, capfd
):
    from safetensors import safe_open

    with safe_open(model_paths["padim"], framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(model_paths["padim"])
    name = next(
        key
        for key in tensors
        if "mean" in key and not key.startswith("extractor")
    )
    tensors[name][0] = float("nan")
    save_file(tensors, tmp_path / "m.safetensors", metadata=metadata)
    arguments = [
        "export",
        tmp_path / "m.safetensors",
        "-o",
        tmp_path / "b",
        "--frame",
        "96x128",
        "--golden",
        "synthetic",
    ]
    assert run(*arguments) in (2, 3)
    said = capfd.readouterr().err
    assert "finite" in said or "proof failed" in said
    assert os.listdir(tmp_path) == ["m.safetensors"]


# --- pictures --------------------------------------------------------------------------------------------------------


def sixteen_bit_png() -> bytes:
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compress((b"\0" + b"\x12\x34" * 3 * FRAME[1]) * FRAME[0])
    header = struct.pack(">IIBBBBB", FRAME[1], FRAME[0], 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def bomb_png() -> bytes:
    """A header that promises 50,000 x 50,000 pixels."""
    whole = io.BytesIO()
    Image.new("RGB", (2, 2)).save(whole, "PNG")
    data = bytearray(whole.getvalue())
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.fixture
def odd_pictures(tmp_path, pictures) -> Path:
    """One good picture, and one of each kind that a camera or a person may send."""
    folder = tmp_path / "odd"
    folder.mkdir()
    good = Image.open(next((pictures / "test").rglob("*.png"))).convert("RGB")
    good.save(folder / "good.png")
    good.convert("CMYK").save(folder / "cmyk.tif")
    good.convert("RGBA").save(folder / "alpha.png")
    turned = good.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "exif.png", exif=exif)
    data = (folder / "good.png").read_bytes()
    (folder / "truncated.png").write_bytes(data[: len(data) // 2])
    Image.new("RGB", (1, 1)).save(folder / "one-pixel.png")
    (folder / "sixteen.png").write_bytes(sixteen_bit_png())
    good.save(
        folder / "animated.tif", save_all=True, append_images=[good, good]
    )
    (folder / "bomb.png").write_bytes(bomb_png())
    (folder / "text.jpg").write_text("no picture")
    good.crop((0, 0, 100, 90)).save(folder / "cropped.png")
    return folder


READABLE = {"good.png", "cmyk.tif", "alpha.png", "exif.png"}
SAID = {
    "truncated.png": "truncated.png: cannot be read",
    "one-pixel.png": "got 1x1; expected 96x128",
    "sixteen.png": "got 16 bits a channel, values",
    "animated.tif": "got 3 frames in one file",
    "bomb.png": "scale it down",
    "text.jpg": "text.jpg: cannot be read",
    "cropped.png": "got 90x100; expected 96x128",
}


def test_odd_pictures_are_skipped_and_named(
    odd_pictures, bundle_paths, tmp_path, capfd, runtime
):
    out = tmp_path / "out"
    arguments = [
        "predict",
        bundle_paths["padim"],
        odd_pictures,
        "-o",
        out,
        "--runtime",
        runtime,
        "--json",
        "--batch",
        "3",
    ]
    assert run(*arguments) == 2
    shown = capfd.readouterr()
    assert "7 of 11 pictures were skipped" in shown.err
    for line in SAID.values():
        assert line in shown.err
    assert {row["picture"] for row in json.loads(shown.out)} == READABLE
    assert len((out / "results.csv").read_text().splitlines()) == 1 + len(
        READABLE
    )
    assert {path.name for path in (out / "overlays").iterdir()} == {
        "good.png", "cmyk.tif.png", "alpha.png", "exif.png",
    }  # fmt: skip
    rows = {row["picture"]: row["score"] for row in json.loads(shown.out)}
    # Alpha is dropped, rotation applied; places in a batch may differ in the last bit.
    assert [rows["alpha.png"], rows["exif.png"]] == pytest.approx(
        [rows["good.png"]] * 2, rel=1e-6
    )


@pytest.mark.parametrize(
    "name",
    ["truncated.png", "sixteen.png", "animated.tif", "bomb.png", "text.jpg"],
)
def test_an_odd_picture_stops_a_fit(
    odd_pictures, pictures, tmp_path, capfd, name
):
    shutil.copytree(pictures / "train" / "good", tmp_path / "train")
    shutil.copy(odd_pictures / name, tmp_path / "train")
    said = refused(
        capfd,
        "fit",
        "padim",
        tmp_path / "train",
        "-o",
        tmp_path / "m.safetensors",
        *TINY,
    )
    assert SAID[name].split(": ")[-1] in said
    assert not (tmp_path / "m.safetensors").exists()


@few_pictures
@pytest.mark.filterwarnings("default")
def test_pictures_of_any_size_are_fitted(odd_pictures, tmp_path, capfd):
    """Cropped, turned and one-pixel pictures are stretched in fitting; only deploying fixes the frame."""
    for name in set(SAID) - {"one-pixel.png", "cropped.png"}:
        (odd_pictures / name).unlink()
    assert (
        run(
            "fit",
            "padim",
            odd_pictures,
            "-o",
            tmp_path / "m.safetensors",
            *TINY,
            "--holdout",
            "0.4",
        )
        == 0
    )
    assert "sizes" in capfd.readouterr().err


def test_folders_without_pictures(tmp_path, bundle_paths, capfd):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("notes")
    for folder in ("empty", "other"):
        for arguments in (
            [
                "fit",
                "padim",
                tmp_path / folder,
                "-o",
                tmp_path / "m.safetensors",
                *TINY,
            ],
            [
                "predict",
                bundle_paths["padim"],
                tmp_path / folder,
                "-o",
                tmp_path / "out",
            ],
            ["threshold", bundle_paths["padim"], "--normal", tmp_path / folder],
            ["verify", bundle_paths["padim"], "--images", tmp_path / folder],
        ):
            assert "holds no picture; expected files ending in" in refused(
                capfd, *arguments
            )
    assert sorted(os.listdir(tmp_path)) == ["empty", "other"]


@few_pictures
@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_pictures_than_a_covariance_needs(
    pictures, tmp_path, capfd, count
):
    (tmp_path / "few").mkdir()
    for path in sorted((pictures / "train").rglob("*.png"))[:count]:
        shutil.copy(path, tmp_path / "few")
    arguments = [
        "fit",
        "padim",
        tmp_path / "few",
        "-o",
        tmp_path / "m.safetensors",
        *TINY,
    ]
    assert "expected at least 4" in refused(capfd, *arguments)
    held = ["--held-back", pictures / "held_back"]
    if count == 1:
        assert "expected at least 2" in refused(capfd, *arguments, *held)
    else:
        assert (
            run(*arguments, *held) == 0
        )  # shrinkage makes a covariance of two; the proof and threshold still hold


# --- places ----------------------------------------------------------------------------------------------------------


def test_devices_and_providers_that_are_not_there(
    bundle_paths, pictures, capfd, runtime
):
    for device in ("cuda", "gpu", "npu", "nonsense"):
        said = refused(
            capfd,
            "predict",
            bundle_paths["padim"],
            pictures / "test",
            "--runtime",
            runtime,
            "--device",
            device,
        )
        assert f"got device '{device}'" in said
    assert "expected one of" in refused(
        capfd, "verify", bundle_paths["padim"], "--runtime", "caffe"
    )


def test_a_backbone_that_needs_the_network_without_one(
    pictures, tmp_path, capfd, monkeypatch
):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda *_: None
    )
    monkeypatch.setattr("anomedge.components.timm_backbones.getproxies", dict)
    start = time.monotonic()
    said = refused(
        capfd,
        "fit",
        "padim",
        pictures / "train",
        "-o",
        tmp_path / "m.safetensors",
        "--backbone",
        "resnet18",
    )
    assert "cannot get the ImageNet weights of resnet18" in said
    assert "--weights FILE.safetensors" in said
    assert time.monotonic() - start < 20
    assert os.listdir(tmp_path) == []


def in_a_namespace(
    script: str, *arguments: object
) -> subprocess.CompletedProcess:
    """Run a shell script where mounting is allowed: in a mount namespace of its own."""
    for enter in (["unshare", "-m"], ["unshare", "-rm"]):
        if (
            shutil.which("unshare")
            and subprocess.run(
                [*enter, "mount", "-t", "tmpfs", "x", "/mnt"],
                capture_output=True,
            ).returncode
            == 0
        ):
            return subprocess.run(
                [
                    *enter,
                    "bash",
                    "-ec",
                    script,
                    "bash",
                    sys.executable,
                    *map(str, arguments),
                ],
                capture_output=True,
                text=True,
            )
    pytest.skip(
        "this system lets nobody mount a file system: a full and a read-only one cannot be made"
    )


@pytest.mark.slow  # by default test_a_limit_on_file_sizes_reads_as_no_space
@pytest.mark.parametrize("size", ["64k", "1m", "9m", "12800k"])
def test_a_full_disk(model_paths, tmp_path, size):
    """Sizes at which the ONNX graph, the IR or the golden frames are what no longer fits (the bundle has 13.5 MB)."""
    done = in_a_namespace(
        'mount -t tmpfs -o size="$4" full "$3"; set +e; '
        '"$1" -m anomedge export "$2" -o "$3/part.anomedge" --frame 96x128 --golden synthetic; echo "code $?"; ls -A "$3"',
        model_paths["padim"], tmp_path, size,
    )  # fmt: skip
    assert "code 2" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("code 2"), (
        done.stdout
    )  # and the folder is empty
    assert "no space left" in done.stderr.lower(), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_full_disk_for_a_model(pictures, tmp_path):
    done = in_a_namespace(
        'mount -t tmpfs -o size=64k full "$3"; set +e; '
        '"$1" -m anomedge fit padim "$2" -o "$3/m.safetensors" ' + " ".join(TINY) + '; echo "code $?"; ls -A "$3"',
        pictures / "train", tmp_path,
    )  # fmt: skip
    assert done.stdout.strip().endswith("code 2"), done.stdout + done.stderr
    assert "no space left" in done.stderr.lower(), done.stderr


@pytest.mark.slow
def test_a_read_only_folder(model_paths, bundle_paths, pictures, tmp_path):
    shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    done = in_a_namespace(
        'mount -t tmpfs x "$3.ro"; mkdir "$3.ro/b"; cp -r "$3/." "$3.ro/b"; mount -o remount,ro "$3.ro"; set +e; '
        '"$1" -m anomedge export "$2" -o "$3.ro/new" --frame 96x128 --golden synthetic; echo "code $?"; '
        '"$1" -m anomedge predict "$3.ro/b" "$4" -o "$3.ro/out"; echo "code $?"; '
        'XDG_STATE_HOME="$3.state" "$1" -m anomedge threshold "$3.ro/b" --set 1; echo "code $?"; '
        '"$1" -m anomedge verify "$3.ro/b" --batch 1 --runtime onnxruntime --json > /dev/null; echo "code $?"',
        model_paths["padim"], _with_twin(tmp_path / "part.anomedge"), pictures / "test",
    )  # fmt: skip
    assert [
        line for line in done.stdout.splitlines() if line.startswith("code")
    ] == ["code 2", "code 2", "code 0", "code 0"]
    errors = [
        line for line in done.stderr.splitlines() if line.startswith("error:")
    ]
    assert len(errors) == 2
    assert all("Read-only" in line for line in errors), done.stderr
    assert (
        "the certificate could not be kept" in done.stderr
    )  # a proof on a read-only device is still a proof


def _with_twin(path: Path) -> Path:
    Path(f"{path}.ro").mkdir()
    return path


@pytest.mark.slow
def test_a_limit_on_file_sizes_reads_as_no_space(model_paths, tmp_path):
    """The same failure where nobody may mount: every write past 1 MB fails."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); "
        "from anomedge.__main__ import main; main()"
    )
    arguments = [
        "export",
        model_paths["padim"],
        "-o",
        tmp_path / "b",
        "--frame",
        "96x128",
        "--golden",
        "synthetic",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "no space left, or a limit on file sizes" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_that_vanishes(tmp_path):
    (tmp_path / "gone").mkdir()
    with (
        pytest.raises(OutputError, match="vanished"),
        atomic_directory(tmp_path / "gone" / "b") as folder,
    ):
        shutil.rmtree(tmp_path / "gone")
        (folder / "a").write_text("x")
    (tmp_path / "gone").mkdir()
    with (
        pytest.raises(OutputError, match="cannot write"),
        atomic_directory(tmp_path / "gone" / "b"),
    ):
        shutil.rmtree(tmp_path / "gone")
    assert os.listdir(tmp_path) == []


# --- signals and neighbours ------------------------------------------------------------------------------------------


def start(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "anomedge", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
@pytest.mark.parametrize(
    "existing", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_a_signal_while_exporting(
    bundle_paths, model_paths, pictures, tmp_path, number, code, existing
):
    target = tmp_path / "part.anomedge"
    if existing:
        shutil.copytree(bundle_paths["patchcore"], target)
    process = start(
        "export",
        model_paths["padim"],
        "-o",
        target,
        "--frame",
        "96x128",
        "--golden",
        pictures / "test",
        "--force",
    )
    while (
        not any(path.suffix == ".tmp" for path in tmp_path.iterdir())
        and process.poll() is None
    ):
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert f"stopped by {number.name}; nothing was left half written" in error
    assert "Traceback" not in error
    assert os.listdir(tmp_path) == ["part.anomedge"] * existing
    if existing:
        assert Bundle.open(target).manifest.detector == "patchcore"


@pytest.mark.slow
def test_two_processes_export_to_one_target(model_paths, tmp_path):
    target = tmp_path / "part.anomedge"
    arguments = ["-o", target, "--frame", "96x128", "--golden", "synthetic"]
    both = [
        start("export", model_paths[detector], *arguments)
        for detector in ("padim", "patchcore")
    ]
    errors = [process.communicate(timeout=240)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], errors
    assert any(
        "appeared while it was being made" in error
        or "exists; expected a new name" in error
        for error in errors
    )
    assert os.listdir(tmp_path) == ["part.anomedge"]
    winner = [process.returncode for process in both].index(0)
    assert (
        Bundle.open(target).manifest.detector == ("padim", "patchcore")[winner]
    )
    both = [
        start("export", model_paths[detector], *arguments, "--force")
        for detector in ("padim", "patchcore")
    ]
    errors = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert os.listdir(tmp_path) == ["part.anomedge"]
    assert Bundle.open(target).manifest.detector in {"padim", "patchcore"}


def test_a_model_that_cannot_be_read_leaves_the_target_alone(
    bundle_paths, tmp_path, capfd
):
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], target)
    (tmp_path / "m.safetensors").write_bytes(b"\x08" + bytes(40))
    arguments = [
        "export",
        tmp_path / "m.safetensors",
        "-o",
        target,
        "--frame",
        "96x128",
        "--golden",
        "synthetic",
        "--force",
    ]
    assert "no model of anomedge" in refused(capfd, *arguments)
    assert Bundle.open(target).manifest.detector == "padim"
