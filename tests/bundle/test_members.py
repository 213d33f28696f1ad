"""Files of a bundle: which of them the digest covers, and kinds that are refused."""

import hashlib
import os
import shutil

import pytest

from anomedge.bundle.members import describe_files, hashed_files
from anomedge.errors import IntegrityError


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "part.anomedge"
    for name in (
        "manifest.json",
        "local.json",
        ".local.json.a1b2c3_d.tmp",
        "model.onnx",
        "golden/000.png",
        "golden/manifest.json",
        "golden/certificates/x.json",
        "certificates/host.json",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_the_digest_leaves_out_files_of_the_root_alone(root):
    assert set(hashed_files(root)) == {
        "model.onnx",
        "golden/000.png",
        "golden/manifest.json",
        "golden/certificates/x.json",
    }


def test_a_large_file_is_no_temporary_of_the_local_settings(root):
    name = ".local.json.a1b2c3_d.tmp"
    (root / name).write_bytes(bytes((1 << 16) + 1))
    assert name in hashed_files(root)


def test_files_are_described_by_size_and_hash_in_order(root):
    found = describe_files(root)
    assert list(found) == sorted(found)
    record = found["golden/000.png"]
    assert record.bytes == 14
    assert record.sha256 == hashlib.sha256(b"golden/000.png").hexdigest()


@pytest.mark.parametrize(
    "place", ["golden/link", "link", "certificates", "local.json"]
)
def test_links_are_refused_wherever_they_lie(root, place):
    if place == "certificates":
        shutil.rmtree(root / place)
    (root / place).unlink(missing_ok=True)
    (root / place).symlink_to(root / "model.onnx")
    with pytest.raises(IntegrityError, match="is a link"):
        hashed_files(root)


def test_a_linked_folder_is_refused(root, tmp_path):
    (tmp_path / "other").mkdir()
    (root / "openvino").symlink_to(tmp_path / "other")
    with pytest.raises(IntegrityError, match="is a link"):
        hashed_files(root)


def test_a_pipe_is_refused(root):
    os.mkfifo(root / "golden" / "pipe")
    with pytest.raises(IntegrityError, match="a pipe or a device"):
        hashed_files(root)


def test_a_folder_that_cannot_be_listed_is_an_error(root):
    with pytest.raises(FileNotFoundError):
        hashed_files(root / "missing")
