"""Engines are kept under a fingerprint and a hash, and built again whenever either does not hold."""

import json
import os
import shutil
import stat

import pytest

from anomedge import runtimes
from anomedge.errors import OutputError, RuntimeFailure
from anomedge.runtimes import GraphFile
from anomedge.runtimes.tensorrt import cache, cache_records
from anomedge.runtimes.tensorrt.cache import engine_cache


def opened(path, **options):
    runtimes.open(path, runtime="trt", **options).close()


def engines(folder):
    return sorted(path.name for path in folder.glob("*.engine"))


def test_the_record_says_what_the_engine_depends_on(new, graph, tmp_path):
    opened(graph())
    (path,) = (tmp_path / "model.onnx.engines").glob("*.engine")
    record = json.loads((path.parent / f"{path.name}.json").read_text())
    assert record["fingerprint"] == {
        "batches": [1, 1, 8],
        "device": {
            "gpu": "Fake GPU", "compute_capability": "8.7", "multiprocessors": "0", "driver": "CUDA 12.6, 540.4.0",
        },
        "graph": GraphFile(tmp_path / "model.onnx").load().digests,
        "options": {
            "dla": None, "hardware_compatible": False, "tf32": False, "version_compatible": False, "workspace": None,
        },
        "rules": 1,
        "version": new.__version__,
    }  # fmt: skip
    assert record["bytes"] == path.stat().st_size
    assert len(record["sha256"]) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda machine, trt: machine.gpus(
            "Fake GPU", driver="CUDA 12.6, 541.0.0"
        ),
        lambda machine, trt: machine.gpus("Other GPU"),
        lambda machine, trt: machine.gpus("Fake GPU", capability=(8, 9)),
        lambda machine, trt: setattr(trt, "__version__", "10.99.0"),
        lambda machine, trt: {"tf32": True},
        lambda machine, trt: {"workspace": 1 << 30},
        lambda machine, trt: {"batches": (1, 1, 9)},
        lambda machine, trt: {"batches": (1, 4, 8)},
        lambda machine, trt: {"version_compatible": True},
        lambda machine, trt: {"hardware_compatible": True},
    ],
)
def test_any_change_of_what_it_depends_on_builds_again(
    new, machine, graph, change
):
    path = graph()
    opened(path)
    options = change(machine, new) or {}
    opened(path, **options)
    assert new.builds == 2
    opened(path, **options)
    assert new.builds == 2


def test_a_change_of_the_graph_builds_again(new, graph):
    opened(graph())
    opened(graph(says=[["INFO", "another graph"]]))
    assert new.builds == 2


def test_a_change_of_the_weights_beside_the_graph_builds_again(
    new, bundle, tmp_path
):
    """The stages' weights lie in the model's file."""
    for name in ("model.onnx", "stages.onnx"):
        shutil.copy(bundle.path / name, tmp_path)
    opened(tmp_path / "stages.onnx")
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    opened(tmp_path / "stages.onnx")
    assert new.builds == 2


def test_a_bundle_s_stages_depend_on_the_weights_that_they_read(bundle):
    known = {
        name: record.sha256 for name, record in bundle.manifest.files.items()
    }
    for name, files in {
        "stages.onnx": ["stages.onnx", "model.onnx"],
        "model.onnx": ["model.onnx"],
    }.items():
        assert GraphFile.in_bundle(bundle, name).load().digests == {
            file: known[file] for file in files
        }


def test_a_wider_engine_serves_a_narrower_wish(new, graph):
    opened(graph(), batches=(1, 4, 16))
    opened(graph())
    assert new.builds == 1
    opened(graph(), batches=(1, 2, 8))
    assert new.builds == 2
    opened(graph(), batches=(1, 1, 17))
    assert new.builds == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:]),
        lambda path: path.unlink(),
        lambda path: path.with_name(f"{path.name}.json").unlink(),
        lambda path: path.with_name(f"{path.name}.json").write_bytes(b"[]"),
        lambda path: path.with_name(f"{path.name}.json").write_bytes(b"{"),
        lambda path: path.with_name(f"{path.name}.json").write_bytes(
            b" " * (1 << 21)
        ),
    ],
)
def test_an_engine_that_was_touched_is_never_loaded(
    new, graph, tmp_path, spoil
):
    opened(graph())
    (path,) = (tmp_path / "model.onnx.engines").glob("*.engine")
    whole = path.read_bytes()
    spoil(path)
    opened(graph())
    assert new.builds == 2
    assert path.read_bytes() == whole


def test_an_engine_that_the_release_does_not_read_is_built_again(new, graph):
    opened(graph(), version_compatible=True)
    new.__version__ = "10.0.0"
    with pytest.warns(
        UserWarning,
        match=r"cannot be read: Serialization assertion failed; it is built again",
    ):
        opened(graph(), version_compatible=True)
    assert new.builds == 2
    opened(graph(), version_compatible=True)
    assert new.builds == 2


def test_what_an_engine_takes_the_place_of_goes(new, machine, graph, tmp_path):
    folder = tmp_path / "model.onnx.engines"
    opened(graph())
    opened(graph(), tf32=True)
    old = engines(folder)
    machine.gpus("Fake GPU", driver="CUDA 13.0")
    opened(graph())
    assert len(engines(folder)) == 2
    assert len(set(engines(folder)) & set(old)) == 1
    machine.gpus("Other GPU")
    opened(graph())
    assert len(engines(folder)) == 3


def test_foreign_files_beside_the_engines_are_left_alone(new, graph, tmp_path):
    opened(graph())
    (path,) = (tmp_path / "model.onnx.engines").glob("*.engine")
    for number, content in enumerate(
        (b"[]", b'{"fingerprint": []}', b'{"fingerprint": {"device": 1}}', b"")
    ):
        other = path.with_name(path.name.replace("1-1-8", f"1-1-{number + 20}"))
        other.write_bytes(b"mine")
        other.with_name(f"{other.name}.json").write_bytes(content)
    opened(graph(), batches=(1, 1, 10))
    assert new.builds == 2
    assert len(engines(path.parent)) == 6


def test_a_user_without_a_home_has_no_second_place(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert len(engine_cache(tmp_path / "model.onnx", "trt", None).folders) == 2
    monkeypatch.setattr(cache.Path, "home", no_home)
    assert len(engine_cache(tmp_path / "model.onnx", "trt", None).folders) == 1


def test_a_failed_write_leaves_nothing(new, graph, tmp_path, monkeypatch):
    def broken(path, content, record):
        raise OutputError("no space left")

    monkeypatch.setattr(cache, "write_entry", broken)
    with pytest.raises(OutputError, match="no space"):
        opened(graph())
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_write_that_stops_half_way_leaves_no_engine(
    new, graph, tmp_path, monkeypatch
):
    real = cache_records.canonical_json
    monkeypatch.setattr(
        cache_records,
        "canonical_json",
        lambda value: 1 / 0 if "sha256" in value else real(value),
    )
    with pytest.raises(RuntimeFailure, match="division by zero"):
        opened(graph())
    monkeypatch.setattr(cache_records, "canonical_json", real)
    assert not list((tmp_path / "model.onnx.engines").glob("*.json"))
    assert not [
        name
        for name in os.listdir(tmp_path / "model.onnx.engines")
        if name.endswith(".tmp")
    ]
    opened(graph())
    assert new.builds == 2


def test_beside_the_bundle_under_its_final_name(bundle, tmp_path):
    def folder(path):
        return engine_cache(path, "trt", None).folders[0]

    assert (
        folder(bundle.file("model.onnx"))
        == bundle.path.with_name(f"{bundle.path.name}.engines").absolute()
    )
    assert folder(tmp_path / "some.onnx") == tmp_path / "some.onnx.engines"
    being_written = tmp_path / ".part.anomedge.ab12_xyz.tmp"
    being_written.mkdir()
    (being_written / "manifest.json").touch()
    assert (
        folder(being_written / "model.onnx")
        == tmp_path / "part.anomedge.engines"
    )


def test_the_cache_asked_for(new, graph, tmp_path):
    path = graph()
    opened(path, cache=tmp_path / "mine" / "deep")
    assert engines(tmp_path / "mine" / "deep")
    assert not (tmp_path / "model.onnx.engines").exists()
    opened(path, cache=tmp_path / "mine" / "deep")
    assert new.builds == 1
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(
        OutputError, match=r"no place for an engine.*give a writable folder"
    ):
        opened(path, cache=blocked)


def test_a_place_that_cannot_be_written_to(new, graph, tmp_path):
    (
        tmp_path / "model.onnx.engines"
    ).touch()  # holds for root as well, unlike permissions
    with pytest.warns(
        UserWarning,
        match=r"model\.onnx\.engines.*the engine is kept in .*cache/anomedge/engines",
    ):
        opened(graph())
    opened(graph())
    assert new.builds == 1


def test_engines_have_the_permissions_of_plain_files(new, graph, tmp_path):
    opened(graph())
    (path,) = (tmp_path / "model.onnx.engines").glob("*.engine")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )
