"""Nothing in a bundle is believed before it is checked."""

import json
import os
import shutil

import numpy as np
import pytest

from anomedge.bundle import MANIFEST, Bundle, LocalSettings, write_local
from anomedge.bundle.manifest import digest_of
from anomedge.errors import BundleError, IntegrityError, SchemaError
from anomedge.files import canonical_json, sha256_of_bytes


@pytest.fixture
def copy(bundle_paths, tmp_path):
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], target)
    return target


def edited(root, change, sign=True):
    content = json.loads((root / "manifest.json").read_bytes())
    change(content)
    if sign:
        unsigned = {
            key: value for key, value in content.items() if key != "digest"
        }
        content["digest"] = sha256_of_bytes(
            json.dumps(
                unsigned, sort_keys=True, indent=2, ensure_ascii=False
            ).encode()
            + b"\n"
        )
    (root / "manifest.json").write_text(json.dumps(content))


def test_opens_and_says_what_it_is(copy):
    manifest = Bundle.open(copy).manifest
    assert (manifest.detector, manifest.input.frame, manifest.opset) == (
        "patchcore",
        (96, 128),
        17,
    )
    assert manifest.image.size == (72, 80)
    assert manifest.geometry.image == (64, 72)
    assert manifest.decision.origin.normal == 6
    assert set(manifest.files) >= {
        "model.onnx",
        "stages.onnx",
        "openvino/model.xml",
        "openvino/model.bin",
    }


def test_a_flipped_byte_in_any_file_is_found(copy):
    generator = np.random.default_rng(0)
    for name in Bundle.open(copy).manifest.files:
        path = copy / name
        before = path.read_bytes()
        place = int(generator.integers(len(before)))
        path.write_bytes(
            before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :]
        )
        with pytest.raises(IntegrityError, match="was changed"):
            Bundle.open(copy)
        path.write_bytes(before)
    Bundle.open(copy)


def test_a_flipped_byte_in_the_manifest_is_found(copy):
    before = (copy / "manifest.json").read_bytes()
    for place in range(0, len(before), 41):
        (copy / "manifest.json").write_bytes(
            before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :]
        )
        try:
            opened = Bundle.open(copy)
        except BundleError:
            continue
        assert (
            canonical_json(opened.manifest.model_dump(mode="json")) == before
        )  # it was white space


def test_missing_truncated_and_extra_files(copy):
    data = (copy / "stages.onnx").read_bytes()
    (copy / "stages.onnx").write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="bytes; expected"):
        Bundle.open(copy)
    (copy / "stages.onnx").unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Bundle.open(copy)
    (copy / "stages.onnx").write_bytes(data)
    (copy / "extra.so").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"extra\.so not in its manifest"):
        Bundle.open(copy)


def test_links_are_refused(copy, tmp_path):
    shutil.move(copy / "stages.onnx", tmp_path / "stages.onnx")
    (copy / "stages.onnx").symlink_to(tmp_path / "stages.onnx")
    with pytest.raises(IntegrityError, match="link"):
        Bundle.open(copy)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "a\\b", "golden/../model.onnx"]
)
def test_paths_outside_are_refused(copy, name):
    edited(
        copy,
        lambda m: m["files"].update({name: {"bytes": 0, "sha256": "0" * 64}}),
    )
    with pytest.raises(IntegrityError):
        Bundle.open(copy)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.update(schema_version=2), "schema version 2; expected 1"),
        (lambda m: m.update(schema_version="1"), "schema version"),
        (lambda m: m.pop("decision"), "decision"),
        (lambda m: m.update(variants={}), "variants"),
        (lambda m: m.update(unknown=1), "unknown"),
        (lambda m: m["decision"].update(threshold=float("nan")), "threshold"),
        (lambda m: m["decision"].update(scale=0), "scale"),
        (lambda m: m["input"].update(height=10**9), "height"),
        (lambda m: m["input"].update(name="images"), "name"),
        (lambda m: m["input"].update(dtype="float32"), "outside resize"),
        (
            lambda m: m["image"].update(region=[0, 0, 2, 1]),
            "manifest.json: .* region",
        ),
        (lambda m: m["image"].update(region=[0, 0, 1]), "region"),
        (
            lambda m: m["image"].update(levels=[9, 2]),
            "manifest.json: .* LOW below",
        ),
        (
            lambda m: m["image"].update(tiling={"tile": [8, 8], "overlap": 8}),
            "manifest.json: .* overlap",
        ),
        (
            lambda m: m["image"].update(tiling={"tile": [1, 1], "overlap": 0}),
            "at most 256",
        ),
    ],
)
def test_manifests_that_are_not_ours_are_refused(copy, change, match):
    edited(copy, change)
    with pytest.raises(SchemaError, match=match):
        Bundle.open(copy)


def test_a_wrong_digest_is_refused(copy):
    edited(copy, lambda m: m["decision"].update(threshold=1.0), sign=False)
    with pytest.raises(IntegrityError, match="digest"):
        Bundle.open(copy)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'"text"']
)
def test_manifests_that_are_no_object_are_refused(copy, content):
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(SchemaError):
        Bundle.open(copy)


def test_a_huge_manifest_is_not_read(copy):
    with (copy / "manifest.json").open("r+b") as file:
        file.truncate(100 << 20)
    with pytest.raises(SchemaError, match="expected at most"):
        Bundle.open(copy)


def test_what_is_no_bundle(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(BundleError, match="expected the folder"):
            Bundle.open(path)


@pytest.mark.parametrize("name", ["model.onnx", "openvino/model.xml"])
def test_a_file_of_a_bundle_names_the_bundle(copy, name):
    with pytest.raises(
        BundleError, match=rf"got .*{name}; .*: give {copy}, which"
    ):
        Bundle.open(copy / name)


def test_the_device_decides_over_the_manifest(copy):
    write_local(
        Bundle.open(copy),
        LocalSettings(threshold=1.5, by="me", when="today", pictures="ten"),
    )
    bundle = Bundle.open(copy)
    assert bundle.decision.threshold == 1.5
    assert (
        bundle.decision.pixel_threshold
        == bundle.manifest.decision.pixel_threshold
    )


def test_certificates_and_local_settings_do_not_change_the_digest(copy):
    digest = Bundle.open(copy).manifest.digest
    (copy / "certificates" / "line-3.json").write_text("{}")
    assert Bundle.open(copy).manifest.digest == digest
    shutil.rmtree(copy / "certificates")
    assert Bundle.open(copy).manifest.digest == digest
    assert "certificates" not in os.listdir(copy)


def test_bundles_without_ranges_are_still_read(bundle_paths, tmp_path):
    import shutil

    path = tmp_path / "old.anomedge"
    shutil.copytree(bundle_paths["padim"], path)
    content = json.loads((path / MANIFEST).read_text())
    assert content.pop("ranges") == []
    (path / MANIFEST).write_bytes(
        canonical_json(content | {"digest": digest_of(content)})
    )
    assert Bundle.open(path).manifest.ranges == ()
