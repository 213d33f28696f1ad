"""The comparison of clients: differences, rows, and inputs that the clients without anomedge lay out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
CONTRACT = {
    "contract": "1",
    "scores": "raw",
    "threshold": "0.1",
    "height": "1",
    "width": "2",
    "colour": "RGB",
    "values": "0 255",
    "axes": "NHWC",
}
FRAME = np.uint8([[[255, 0, 51], [1, 2, 3]]])


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.syspath_prepend(BENCHMARKS / "_clients")


def test_errors_are_shares_of_the_scale():
    from _clients.answers import Answers, difference

    ours = Answers(["normal", "anomalous"], [1.0, 2.0], {1: np.float32([1, 2])})
    maps = {0: np.float32([0, 0]), 1: np.float32([1, 3])}
    theirs = Answers(["normal", "normal"], [1.0, 2.5], maps)
    found = difference(ours, theirs, 2.0)
    assert found == (1, 0.25, 1, 0.5)
    without = difference(Answers(ours.labels, ours.scores), theirs, 2.0)
    assert (without.maps, without.map) == (0, None)


def test_missing_answers_and_nan_are_no_agreement():
    from _clients.answers import Answers, difference

    expected = Answers(["normal"], [1.0])
    none = Answers([], [])
    with pytest.raises(ValueError, match=r"zip\(\)"):
        difference(none, expected, 1.0)
    found = difference(Answers(["normal"], [float("nan")]), expected, 1.0)
    assert np.isnan(found.score)
    given = Answers(["normal"], [1.0], {0: np.float32([np.nan])})
    expected = Answers(["normal"], [1.0], {0: np.float32([1.0])})
    assert np.isnan(difference(given, expected, 1.0).map)
    given = Answers(["normal"], [1.0], {0: np.float32([1.0, 1.0])})
    with pytest.raises(ValueError, match="shape"):
        difference(given, expected, 1.0)


def test_a_client_that_does_not_run_has_its_reason_in_the_table():
    import clients
    from _clients.answers import Answers, Difference
    from _clients.cases import Prepared

    case = Prepared("padim", "demo", Path("m"), Path("b"), [Path("0.png")])
    expected = Answers(["anomalous"], [1.0])
    given = clients.row(case, "Node", expected, "not run: no node")
    assert given.count("|") == clients.HEAD.splitlines()[0].count("|")
    assert "| not run: no node |" in given
    assert clients.is_agreement("not run: no node", case)
    assert not clients.is_agreement("failed: exit code 2", case)
    result = Difference(1, 1e-6, 0, None)
    shown = clients.row(case, "Node", expected, result)
    assert shown == "| demo | padim | Node | 1 | 1 | 1 | 1.0e-06 | 0 |  |"
    assert clients.is_agreement(result, case)
    assert not clients.is_agreement(result._replace(equal=0), case)
    assert not clients.is_agreement(result._replace(score=float("nan")), case)


def test_frames_are_laid_out_as_the_contract_states():
    from alone import laid_out

    found = laid_out(FRAME, CONTRACT, np.uint8)
    assert np.array_equal(found, FRAME[None])
    planes = CONTRACT | {"colour": "BGR", "values": "0 1", "axes": "NCHW"}
    found = laid_out(FRAME, planes, np.float32)
    assert found.shape == (1, 3, 1, 2)
    assert found.dtype == np.float32
    assert found[0, :, 0, 0].tolist() == pytest.approx([0.2, 0, 1])


def test_nvinfers_planes_are_scaled_shifted_and_ordered():
    from deepstream_like import planes

    found = planes(FRAME, 1, 0.5, [1.0, 0.0, 5.0])
    assert found[0, :, 0, 0].tolist() == [25.0, 0.0, 125.0]
    found = planes(FRAME, 0, 1.0, [0.0, 0.0, 0.0])
    assert found[0, :, 0, 0].tolist() == [255.0, 0.0, 51.0]


def test_a_score_at_the_threshold_is_normal(tmp_path, capsys):
    from alone import Client

    client = Client(CONTRACT | {"threshold": "0.5"}, str(tmp_path))
    for score in (0.5, 0.75):
        client.decide("a.png", {"score": np.float32([score])})
    lines = capsys.readouterr().out.splitlines()
    labels = [json.loads(line)["label"] for line in lines]
    assert labels == ["normal", "anomalous"]
    with pytest.raises(SystemExit, match="expected a number"):
        client.decide("a.png", {"score": np.float32([np.nan])})
    with pytest.raises(SystemExit, match="expected raw scores"):
        Client(CONTRACT | {"scores": "normalised"}, str(tmp_path))


@pytest.mark.slow
def test_the_command_compares_clients_that_have_the_graph_alone(tmp_path):
    chosen = [
        "DeepStream-like, nchw-bgr-255",
        "plain ONNX Runtime",
        "plain OpenVINO",
    ]
    quick = [
        "--backbone",
        "test_efficientnet",
        "--weights",
        "random",
        "--size",
        "64x64",
        "--most",
        "4",
    ]
    output = tmp_path / "clients.md"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "clients.py", *quick, "--clients", *chosen, "-o", output],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [r for r in output.read_text().splitlines() if "| demo |" in r]
    assert len(rows) == 2 * len(chosen)
