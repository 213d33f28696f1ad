"""Changes at the path of an open bundle: said once, by name, even when they are hidden."""

import json
import os
import shutil

import pytest

from anomedge.bundle import Bundle
from anomedge.bundle.changes import Changes
from tests.bundle.exchanging import flip


def test_changes_are_said_once_and_by_name(copy, bundle_paths):
    changes = Changes(Bundle.open(copy), every=0)
    assert changes.ask() is None
    for name in ("manifest.json", "golden/000.png"):
        os.utime(copy / name)
    assert changes.ask() is None, "the same manifest; frames do not run"
    flip(copy / "openvino" / "model.bin")
    assert (
        "openvino/model.bin changed since the bundle was opened"
        in changes.ask()
    )
    assert changes.ask() is None
    (copy / "local.json").write_text("{}")
    assert "local.json changed" in changes.ask()
    shutil.copytree(bundle_paths["patchcore"], copy, dirs_exist_ok=True)
    other = Bundle.open(bundle_paths["patchcore"]).manifest.digest
    assert f"holds another bundle now ({other[:12]}" in changes.ask()
    said = []
    for content in (b"", b"[]", b'{"digest": 1}', b"[" * 100_000, None):
        (copy / "manifest.json").unlink() if content is None else (
            copy / "manifest.json"
        ).write_bytes(content)
        said.append(changes.ask())
    shutil.rmtree(copy)
    assert changes.ask() is None
    assert "no longer holds a complete bundle" in said[0]
    assert said[1:] == [None] * 4


def overwritten_in_place(copy):
    path = copy / "model.onnx"
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(times.st_size // 2)
        file.write(b"\xff" * 64)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def other_manifest_of_the_same_digest(copy):
    content = json.loads((copy / "manifest.json").read_text())
    content["decision"]["threshold"] = 99.0
    (copy / "manifest.json").write_text(json.dumps(content))


@pytest.mark.skipif(os.name == "nt", reason="no change time in the file system")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (overwritten_in_place, "model.onnx changed since"),
        (
            other_manifest_of_the_same_digest,
            "no longer holds a complete bundle",
        ),
        (lambda copy: shutil.rmtree(copy / "golden"), "golden/000.png, "),
        (
            lambda copy: (copy / "golden/000.png").write_bytes(b""),
            "golden/000.png changed since",
        ),
    ],
    ids=["mtime put back", "digest kept", "golden removed", "golden emptied"],
)
def test_a_hidden_change_is_noticed(copy, change, said):
    changes = Changes(Bundle.open(copy), every=0)
    assert changes.ask() is None
    change(copy)
    assert said in changes.ask()
    assert changes.ask() is None


def test_a_change_before_the_first_look_is_said(copy, bundle_paths):
    bundle = Bundle.open(copy)
    shutil.rmtree(copy)
    shutil.copytree(bundle_paths["patchcore"], copy)
    assert "another bundle" in Changes(bundle).ask()
    changes = Changes(Bundle.open(copy), every=60)
    assert changes.ask() is None
    flip(copy / "model.onnx")
    assert changes.ask() is None, "it is not time to look"
