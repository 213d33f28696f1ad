"""Canonical JSON and SHA-256 digests."""

import hashlib
import io
import json
import math
import os

import pytest

from anomedge.files import canonical_json, sha256_of_bytes, sha256_of_file
from anomedge.files.digests import sha256_of_open


def test_the_order_of_keys_does_not_matter():
    one = {"b": [1, {"y": 2, "x": None}], "a": "é\u2028"}
    two = {"a": "é\u2028", "b": [1, {"x": None, "y": 2}]}
    assert canonical_json(one) == canonical_json(two)
    assert json.loads(canonical_json(one)) == one
    assert canonical_json(one).endswith(b"\n}\n")
    assert "é".encode() in canonical_json(one)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, {"a": -math.inf}])
def test_numbers_that_json_lacks_are_refused(wrong):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(wrong)


def test_lone_surrogates_are_refused():
    with pytest.raises(UnicodeEncodeError):
        canonical_json({"name": "\ud800"})


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_has_the_digest_of_its_bytes(size, tmp_path):
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert sha256_of_file(path) == sha256_of_bytes(content) == expected


def test_an_open_file_is_read_from_its_position():
    file = io.BytesIO(b"head and tail")
    file.seek(5)
    assert sha256_of_open(file) == sha256_of_bytes(b"and tail")
    assert file.read() == b""


def test_pipes_and_missing_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing"):
        with pytest.raises(OSError, match=name):
            sha256_of_file(tmp_path / name)
