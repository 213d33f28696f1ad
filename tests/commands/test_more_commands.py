"""bench, inspect, threshold, predict's formats, completion, and the generated reference."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.bundle import opened as bundle_file
from anomedge.commands import threshold
from anomedge.errors import InputError, OutputError
from anomedge.files import sha256_of_bytes, sha256_of_file
from anomedge.images import list_pictures, read_picture
from anomedge.parity.stored import keep_certificate, stored_certificates
from anomedge.station.calibration import recalibrate
from anomedge.threshold import interval_of_rate
from tests.commands.running import run
from tests.conftest import RUNTIMES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(bundle_paths, tmp_path) -> Path:
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], target)
    return target


# --- threshold -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alarms", "count"),
    [(0, 1), (0, 30), (1, 30), (15, 30), (30, 30), (100, 10_000)],
)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_clopper_and_pearsons(alarms, count, confidence):
    wanted = stats.binomtest(alarms, count).proportion_ci(
        confidence, method="exact"
    )
    assert interval_of_rate(alarms, count, confidence) == pytest.approx(
        (wanted.low, wanted.high), abs=1e-9
    )


def test_the_interval_holds_a_threshold_laid_between_the_scores():
    """Simulated: 95 % of the time or more, the rate of a threshold between two scores lies in the interval."""
    import numpy as np

    generator = np.random.default_rng(0)
    for count, allowed in ((50, 1), (200, 4)):
        low, high = interval_of_rate(allowed, count)
        scores = np.sort(generator.uniform(size=(4000, count)), axis=1)
        rates = (
            1
            - (scores[:, count - allowed - 1] + scores[:, count - allowed]) / 2
        )
        assert ((low <= rates) & (rates <= high)).mean() > 0.945


@pytest.mark.filterwarnings("default")
def test_a_defect_among_the_normal_pictures_is_named_and_does_not_count(
    copy, pictures, tmp_path, capsys
):
    held_back = list_pictures(pictures / "held_back")
    folder = tmp_path / "normal"
    folder.mkdir()
    frames = [read_picture(path) for path in held_back]
    for number in range(12):
        frame = frames[number % 6] // 2 + 64 + number // 6
        Image.fromarray(frame).save(folder / f"{number:02}.png")
    assert (
        run("threshold", copy, "--normal", folder, "--dry-run", "--json") == 0
    )
    before = json.loads(capsys.readouterr().out)["threshold"]
    Image.fromarray(np.zeros_like(frames[0])).save(folder / "zz.png")
    assert (
        run("threshold", copy, "--normal", folder, "--dry-run", "--json") == 0
    )
    said = capsys.readouterr()
    assert "look at zz.png" in said.err
    assert json.loads(said.out)["threshold"] == pytest.approx(before, rel=0.05)


def test_the_pictures_of_the_fit_do_not_calibrate(pictures):
    paths = list_pictures(pictures / "train")
    digests = "".join(sha256_of_file(path) for path in paths)
    origin = SimpleNamespace(
        folds=5, pictures=sha256_of_bytes(digests.encode())
    )
    decision = SimpleNamespace(origin=origin)
    bundle = SimpleNamespace(manifest=SimpleNamespace(decision=decision))
    inspector = SimpleNamespace(bundle=bundle)
    with pytest.raises(InputError, match="that the detector was fitted to"):
        recalibrate(inspector, paths, "train", 0.1)


def test_recalibrated_on_the_device(copy, pictures, capsys):
    digest = Bundle.open(copy).manifest.digest
    assert (
        run(
            "threshold",
            copy,
            "--normal",
            pictures / "held_back",
            "--rate",
            "0.4",
            "--json",
        )
        == 0
    )
    shown = json.loads(capsys.readouterr().out)
    bundle = Bundle.open(copy)
    assert bundle.manifest.digest == digest
    assert (
        bundle.decision.threshold
        == shown["threshold"]
        != bundle.manifest.decision.threshold
    )
    assert bundle.decision.scale == bundle.manifest.decision.scale
    local = shown["local"]
    assert (
        local["alarms"],
        local["count"],
        local["rate"],
        local["bundle"],
    ) == (2, 6, 0.4, digest)
    assert local["interval"] == pytest.approx(interval_of_rate(2, 6))
    assert (
        local["by"]
        and local["when"].endswith("+00:00")
        and "held_back" in local["pictures"]
    )
    assert run("predict", copy, pictures / "held_back", "--json") == 0
    labels = [row["label"] for row in json.loads(capsys.readouterr().out)]
    assert labels.count("anomalous") == 2
    assert run("threshold", copy) == 0
    assert "2 of 6 above it, aimed at 0.4" in capsys.readouterr().out
    # The proof is made at the new threshold.
    assert run("verify", copy, "--runtime", RUNTIMES[0], "--batch", "1") == 0


def test_set_by_hand_and_back(copy, capsys):
    before = Bundle.open(copy).decision
    assert run("threshold", copy, "--set", "-1.5", "--dry-run") == 0
    assert Bundle.open(copy).decision == before
    assert run("threshold", copy, "--set", "-1.5") == 0
    assert run("threshold", copy, "--set-pixel", "7") == 0
    assert (
        Bundle.open(copy).decision.threshold,
        Bundle.open(copy).decision.pixel_threshold,
    ) == (-1.5, 7)
    assert run("threshold", copy, "--reset") == 0
    assert Bundle.open(copy).decision == before
    assert run("threshold", copy, "--reset") == 0


def test_settings_of_another_bundle_are_refused(
    copy, bundle_paths, tmp_path, capfd
):
    assert run("threshold", copy, "--set", "1") == 0
    other = tmp_path / "other.anomedge"
    shutil.copytree(bundle_paths["padim"], other)
    shutil.copy(copy / "local.json", other)
    assert run("inspect", other) == 2
    assert "was written for another bundle" in capfd.readouterr().err
    assert run("threshold", other, "--reset") == 0
    assert run("inspect", other) == 0


@pytest.fixture
def exchange(copy, bundle_paths, tmp_path):
    """Puts another bundle, which has a threshold and a certificate of its own, in the place of the copy, as an export does."""
    other = tmp_path / "other.anomedge"
    shutil.copytree(bundle_paths["padim"], other)
    write_local(Bundle.open(other), LocalSettings(threshold=7.0))

    def exchanging(function):
        def exchanged(*arguments):
            copy.rename(tmp_path / "aside")
            other.rename(copy)
            return function(*arguments)

        return exchanged

    return exchanging


def files_of(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "arguments",
    [["--normal", "GOOD", "--rate", "0.4"], ["--set", "1"], ["--reset"]],
)
def test_a_bundle_exchanged_meanwhile_keeps_its_own_threshold(
    copy, pictures, tmp_path, monkeypatch, capfd, exchange, arguments
):
    """Its `local.json` would be one of another bundle, and it could not be opened any more."""
    before, first = (
        files_of(tmp_path / "other.anomedge"),
        Bundle.open(copy).manifest.digest[:12],
    )
    for name in ("write_local", "remove_local"):
        monkeypatch.setattr(threshold, name, exchange(getattr(threshold, name)))
    places = {"GOOD": pictures / "held_back"}
    assert (
        run(
            "threshold",
            copy,
            *(places.get(argument, argument) for argument in arguments),
        )
        == 2
    )
    said = capfd.readouterr().err
    second = Bundle.open(copy).manifest.digest[:12]
    assert (
        f"got another bundle ({second}) there; expected the one that was opened ({first}): run the command again"
        in said
    )
    assert files_of(copy) == before


def test_a_bundle_exchanged_at_the_last_moment_keeps_its_own_threshold(
    copy, tmp_path, monkeypatch, exchange
):
    before, opened = files_of(tmp_path / "other.anomedge"), Bundle.open(copy)
    check = bundle_file.assert_in_place
    rename = exchange(lambda: None)
    monkeypatch.setattr(
        bundle_file, "assert_in_place", lambda bundle: (check(bundle), rename())
    )
    with pytest.raises(OutputError, match="cannot write"):
        write_local(opened, LocalSettings(threshold=1.0))
    assert files_of(copy) == before


def test_a_bundle_that_is_gone_meanwhile_is_said(copy):
    opened = Bundle.open(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(
        OutputError,
        match="got no whole bundle there; expected the one that was opened",
    ):
        write_local(opened, LocalSettings(threshold=1.0))
    assert not list(copy.glob("*local.json*"))


def test_a_bundle_exchanged_meanwhile_keeps_its_own_certificates(
    copy, tmp_path, exchange
):
    before, opened = files_of(tmp_path / "other.anomedge"), Bundle.open(copy)
    certificate = stored_certificates(opened)[0].certificate
    with pytest.raises(OutputError, match="nothing was written into"):
        exchange(keep_certificate)(opened, "host", certificate)
    assert files_of(copy) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "nan"], "expected a finite number"),
        (["--set", "1", "--reset"], "expected one of them at a time"),
        (["--rate", "0.1"], "without --normal"),
        (["--normal", "GOOD", "--rate", "0"], "expected one between 0 and 1"),
        (["--normal", "GOOD", "--rate", "2"], "expected one between 0 and 1"),
        (["--normal", "TEST"], "expected only normal pictures"),
    ],
)
def test_thresholds_that_make_no_sense(copy, pictures, capfd, arguments, said):
    places = {"GOOD": pictures / "held_back", "TEST": pictures / "test"}
    assert (
        run(
            "threshold",
            copy,
            *(places.get(argument, argument) for argument in arguments),
        )
        == 2
    )
    assert said in capfd.readouterr().err
    assert not (copy / "local.json").exists()


# --- inspect ---------------------------------------------------------------------------------------------------------


def test_inspect_a_bundle(copy, capsys):
    (copy / "certificates" / "foreign.json").write_text("[1]")
    assert run("inspect", copy, "--graph") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "uint8 (dynamic, 96, 128, 3) RGB",
        "patchcore on test_efficientnet",
        "host.json eager torch",
        "ignored: not a certificate",
    ):
        assert part in shown
    assert run("inspect", copy, "--graph", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    stages = content["stages"]["fp32"]
    assert [stage["name"] for stage in stages] == content["manifest"]["stages"]
    import onnx

    graph = onnx.load(copy / "model.onnx").graph
    assert sum(sum(stage["operators"].values()) for stage in stages) == len(
        graph.node
    )
    weights = sum(
        onnx.numpy_helper.to_array(tensor).nbytes
        for tensor in graph.initializer
    )
    assert sum(stage["weight_bytes"] for stage in stages) == weights
    assert stages[-1]["shape"] == [None]


def test_inspect_a_model(model_paths, detector, capfd):
    assert run("inspect", model_paths[detector], "--json") == 0
    content = json.loads(capfd.readouterr().out)
    assert content["detector"] == detector
    from safetensors import safe_open

    with safe_open(model_paths[detector], framework="pt") as file:
        shapes = {
            name: file.get_slice(name).get_shape()
            for name in file.keys()  # noqa: SIM118
        }
    assert {
        tensor["name"]: tensor["shape"] for tensor in content["tensors"]
    } == shapes
    assert run("inspect", model_paths[detector]) == 0
    assert "fitted to" in capfd.readouterr().out
    assert run("inspect", model_paths[detector], "--graph") == 2
    assert "before it is exported" in capfd.readouterr().err


# --- bench -----------------------------------------------------------------------------------------------------------


def test_bench(copy, tmp_path, capsys):
    plot = tmp_path / "latency.svg"
    assert (
        run(
            "bench",
            copy,
            "--batch",
            "1",
            "2",
            "--rounds",
            "2",
            "--plot",
            plot,
            "--json",
        )
        == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert [(row["runtime"], row["batch"]) for row in rows] == [
        (r, b) for r in RUNTIMES for b in (1, 2)
    ]
    for row in rows:
        assert row["calls"] == 6
        assert 0 < row["median"] <= row["p95"]
        assert row["throughput"] > 0
        assert row["peak_bytes"] > 20e6
        assert row["ratio"] == pytest.approx(
            row["median"] / row["batch"] / rows[0]["median"]
        )
    assert plot.read_text().lstrip().startswith("<")
    assert (
        run("bench", copy, "--batch", "1", "--rounds", "1", "--no-memory") == 0
    )
    assert "frames/s" in capsys.readouterr().out


def test_bench_refuses(copy, tmp_path, capfd):
    assert run("bench", copy, "--plot", tmp_path / "latency.jpg") == 2
    assert "ending in .svg" in capfd.readouterr().err
    assert run("bench", copy, "--precision", "fp16") == 2
    assert "expected one of: fp32" in capfd.readouterr().err


# --- predict ---------------------------------------------------------------------------------------------------------


def test_predict_batches_formats_and_one_file(copy, pictures, tmp_path, capsys):
    one, many = tmp_path / "one", tmp_path / "many"
    assert run("predict", copy, pictures / "test", "-o", one) == 0
    assert (
        run(
            "predict",
            copy,
            pictures / "test",
            "-o",
            many,
            "--batch",
            "3",
            "--format",
            "json",
            "--no-overlays",
        )
        == 0
    )
    with (one / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    batched = json.loads((many / "results.json").read_text())
    assert [row["picture"] for row in rows] == [
        row["picture"] for row in batched
    ]
    assert [float(row["score"]) for row in rows] == pytest.approx(
        [row["score"] for row in batched], rel=1e-5
    )
    assert os.listdir(many) == ["results.json"]
    capsys.readouterr()
    assert (
        run("predict", copy, next((pictures / "test").rglob("*.png")), "--json")
        == 0
    )
    assert len(json.loads(capsys.readouterr().out)) == 1


# --- the shell, and the documentation --------------------------------------------------------------------------------


def test_the_shell_completes(tmp_path):
    environment = os.environ | {
        "_ANOMEDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": "anomedge ver",
        "COMP_CWORD": "1",
    }
    program = Path(sys.executable).with_name("anomedge")
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["verify"], done
    environment |= {"COMP_WORDS": "anomedge bench --ru", "COMP_CWORD": "2"}
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["--runtime"], done


def test_the_reference_is_the_commands_own():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference", "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_reader_that_leaves_early_is_no_error(copy):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"'{sys.executable}' -m anomedge inspect '{copy}' --json | head -c 1",
        ],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr
