"""Imports that are refused in one line."""

import pytest

from anomedge.errors import AnomedgeError
from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder


def refused(content, tmp_path, match, **options):
    """Import a file; its message is one line that names the file."""
    path = builder.saved(content, tmp_path)
    with pytest.raises(AnomedgeError, match=match) as caught:
        import_native(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "expected" in message


SPEC = builder.spec
