"""Engines are kept under a fingerprint and a hash, and built again whenever either does not hold."""

import pytest

from anomedge.errors import OutputError
from anomedge.runtimes.tensorrt import cache
from anomedge.runtimes.tensorrt.cache import engine_cache
from tests.runtimes.tensorrt.engines import engines, opened


def test_a_wider_engine_serves_a_narrower_wish(new, graph):
    opened(graph(), batches=(1, 4, 16))
    opened(graph())
    assert new.builds == 1
    opened(graph(), batches=(1, 2, 8))
    assert new.builds == 2
    opened(graph(), batches=(1, 1, 17))
    assert new.builds == 3


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
