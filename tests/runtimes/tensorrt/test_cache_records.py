"""Engines and the records beside them: touched and foreign files are never loaded."""

import os
import stat

import pytest

from anomedge.errors import RuntimeFailure
from anomedge.runtimes.tensorrt import cache_records
from tests.runtimes.tensorrt.engines import engines, opened


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


def test_engines_have_the_permissions_of_plain_files(new, graph, tmp_path):
    opened(graph())
    (path,) = (tmp_path / "model.onnx.engines").glob("*.engine")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )
