"""The verb bench: its table, its plot, its refusals."""

import json

import pytest

from tests.commands.running import run
from tests.conftest import RUNTIMES


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
