"""Keys of dicts and items of sets: hashed and compared in bounded time."""

import pytest

from anomedge.errors import ModelError
from tests.interop.archive.making import PROTO, content_of, write_archive


def test_number_keys_are_bounded_because_their_hashes_are_known(tmp_path):
    """Integers can be chosen so that each search in the table visits all others: 110 us per key at 40,000 of them."""
    keys = b"".join(b"J" + key.to_bytes(4, "little") for key in range(50_001))
    archive = write_archive(
        tmp_path / "keys.ckpt", PROTO + b"\x8f(" + keys + b"\x90."
    )
    with pytest.raises(ModelError, match="over 50000 of its keys are numbers"):
        content_of(archive)
