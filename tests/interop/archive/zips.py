"""Zip files of torch, with values overwritten."""

import struct

import pytest

from anomedge.errors import ModelError
from tests.interop.archive.making import content_of

PICKLE = b"\x80\x02]."


ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def patch(path, place, form, *values):
    """Overwrite values at a place of the file."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)


def refused(path, said):
    with pytest.raises(ModelError, match=said) as caught:
        content_of(path)
    assert "\n" not in str(caught.value)
