"""The verb build: batches, the graph, and the record of the engine; the builder is a stand-in."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from anomedge.commands import build as module
from anomedge.errors import InputError, RuntimeMissing
from anomedge.runtimes import BuildResult, Options
from tests.commands.running import run

RECORD = {
    "seconds": 12.34,
    "fingerprint": {
        "batches": [1, 2, 8],
        "device": {"name": "NVIDIA L4", "compute_capability": "8.9"},
        "graph": {"model.onnx": "a" * 64},
        "version": "10.3",
    },
}


class Builder:
    """Keeps what it was asked for."""

    name, options = "tensorrt", Options
    calls: list

    @classmethod
    def build(cls, graph, settings, *, force):
        cls.calls.append((graph, settings, force))
        return BuildResult(Path("cache/e.engine"), 2_500_000, force, RECORD)


@pytest.fixture
def builder(monkeypatch):
    Builder.calls = []
    monkeypatch.setattr(module, "_engine_builder", lambda name: Builder)
    monkeypatch.setattr(
        module.runtimes, "options_for", lambda kind, **given: Options(batches=given["batches"])
    )  # fmt: skip
    return Builder


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"graph")
    return path


def test_the_engine_and_its_facts_are_printed(builder, graph, capsys):
    assert run("build", graph, "--batch", "1", "2", "8", "--force") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(None, 1)[0] for line in lines[2:]] == [
        "release", "for", "graph", "batches",
    ]  # fmt: skip
    assert lines[0].endswith("cache/e.engine")
    assert lines[1].strip() == "2.5 MB, built in 12.3 s"
    assert "name NVIDIA L4, compute capability 8.9" in lines[3]
    assert "model.onnx (aaaaaaaaaaaa)" in lines[4]
    assert lines[5].endswith("1 to 8, tuned for 2")
    ((asked, settings, force),) = builder.calls
    assert asked.path == graph
    assert settings.batches == (1, 2, 8)
    assert force


def test_an_engine_that_is_there_is_said(builder, graph, capsys):
    assert run("build", graph) == 0
    assert "it was there already; --force" in capsys.readouterr().out
    assert builder.calls[0][1].batches == (1, 1, 8)


def test_json_is_the_record(builder, graph, capsys):
    assert run("build", graph, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["built"] is False
    assert content["engine"] == "cache/e.engine"
    assert content["fingerprint"] == RECORD["fingerprint"]


def test_four_batches_are_refused(builder, graph, capsys):
    assert run("build", graph, "--batch", "1", "2", "3", "4") == 2
    assert "three numbers at most" in capsys.readouterr().err
    assert builder.calls == []


def test_an_ir_is_no_graph_to_build(builder, tmp_path):
    path = tmp_path / "model.xml"
    path.write_text("<net/>")
    with pytest.raises(InputError, match="got the IR"):
        module._graph(path, builder, Options())


def kinds(**installed):
    return {
        name: SimpleNamespace(
            name=name,
            is_installed=lambda there=there: there,
            runs_here=lambda name=name: name == "here",
            how_to_install=lambda name=name: f"pip install {name}",
        )
        for name, there in installed.items()
    }


def test_the_first_installed_builder_is_taken(monkeypatch):
    monkeypatch.setattr(
        module, "engine_builders", lambda: kinds(trt=False, rtx=True)
    )
    assert module._engine_builder(None).name == "rtx"
    monkeypatch.setattr(module, "engine_builders", lambda: kinds(away=True, here=True))  # fmt: skip
    assert module._engine_builder(None).name == "here"
    monkeypatch.setattr(module, "engine_builders", lambda: kinds(trt=False, rtx=False))  # fmt: skip
    with pytest.raises(
        RuntimeMissing, match="pip install trt or pip install rtx"
    ):
        module._engine_builder(None)
