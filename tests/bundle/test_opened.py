"""An opened bundle: its files, its precisions, and writing into it."""

import hashlib
from types import SimpleNamespace

import pytest

from anomedge.bundle import (
    Bundle,
    LocalSettings,
    require_outside,
    write_local,
)
from anomedge.bundle import opened as bundle_file
from anomedge.errors import (
    BundleError,
    InputError,
    IntegrityError,
    OutputError,
)
from tests.bundle.exchanging import exchanging, files_of, put_beside


def test_a_bundle_exchanged_at_the_last_moment_keeps_its_own_threshold(
    copy, bundle_paths, monkeypatch
):
    other = put_beside(copy, bundle_paths["patchcore"])
    before, opened = files_of(other), Bundle.open(copy)
    check = bundle_file.assert_in_place
    rename = exchanging(copy, other)(lambda: None)
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


def unchecked(root, *names):
    """A bundle whose manifest lists these files of three bytes."""
    record = SimpleNamespace(bytes=3, sha256=hashlib.sha256(b"abc").hexdigest())
    for name in names:
        (root / name).write_bytes(b"abc")
    manifest = SimpleNamespace(
        files=dict.fromkeys(names, record),
        variants={"fp32": "graphs", "fp16": "half"},
    )
    return Bundle(root, manifest)


def test_only_listed_files_are_given(tmp_path):
    bundle = unchecked(tmp_path, "model.onnx")
    (tmp_path / "other").write_bytes(b"abc")
    assert bundle.read("model.onnx") == b"abc"
    assert bundle.file("model.onnx") == tmp_path / "model.onnx"
    for use in (bundle.file, bundle.read):
        with pytest.raises(IntegrityError, match="got 'other'; expected a"):
            use("other")


def test_a_file_is_checked_whenever_it_is_read(tmp_path):
    bundle = unchecked(tmp_path, "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"abd")
    with pytest.raises(IntegrityError, match="was changed since"):
        bundle.read("model.onnx")


def test_a_precision_that_the_bundle_lacks_is_named_with_those_it_has(tmp_path):
    bundle = unchecked(tmp_path)
    assert bundle.variant("fp16") == "half"
    with pytest.raises(
        BundleError, match="'int8'; expected one of: fp32, fp16"
    ):
        bundle.variant("int8")


def test_many_missing_files_are_counted(tmp_path):
    bundle = unchecked(tmp_path, *"abcde")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(IntegrityError, match="a, b, c and 2 more missing"):
        bundle._check_files()


def test_outputs_in_the_bundle_are_refused(copy, tmp_path):
    bundle = Bundle.open(copy)
    link = tmp_path / "link"
    link.symlink_to(copy)
    require_outside(bundle, None, tmp_path, copy.with_name("other"))
    for inside in (copy, copy / "a" / "b", link / "a"):
        with pytest.raises(InputError, match="expected a place outside"):
            require_outside(bundle, None, inside)


def test_a_folder_of_settings_in_the_bundle_is_refused(copy):
    with pytest.raises(InputError, match="expected a place outside"):
        write_local(Bundle.open(copy, copy / "x"), LocalSettings(threshold=1.0))
    Bundle.open(copy)
