"""Files are checked by size and hash, and what is read is what was hashed."""

import hashlib
import os

import pytest

from anomedge.bundle.checked import check_file, checked_content
from anomedge.errors import IntegrityError

CONTENT = b"some weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(CONTENT)
    return file


def test_a_file_as_recorded_is_read(path):
    check_file(path, 12, DIGEST)
    assert checked_content(path, 12, DIGEST) == CONTENT


def test_another_size_is_said_without_a_hash(path):
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(IntegrityError, match="got 13 bytes; expected 12"):
        check_file(path, 12, DIGEST)
    with pytest.raises(IntegrityError, match="was changed since the bundle"):
        checked_content(path, 12, DIGEST)


def test_another_content_of_the_same_size_is_refused(path):
    path.write_bytes(CONTENT.upper())
    with pytest.raises(IntegrityError, match="SHA-256 is not the manifest's"):
        check_file(path, 12, DIGEST)
    with pytest.raises(IntegrityError, match="was changed since the bundle"):
        checked_content(path, 12, DIGEST)


def test_a_file_that_is_gone_is_said_when_it_is_read(path):
    path.unlink()
    with pytest.raises(IntegrityError, match=r"No such file.*open the bundle"):
        checked_content(path, 12, DIGEST)


def test_links_and_pipes_are_not_followed_or_waited_for(path, tmp_path):
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(path)
    os.mkfifo(pipe)
    for other in (link, pipe):
        with pytest.raises(OSError):
            check_file(other, 12, DIGEST)
        with pytest.raises(IntegrityError, match="cannot be read any more"):
            checked_content(other, 12, DIGEST)
