"""Lists of pictures that are refused."""

import pytest

from anomedge.errors import InputError
from anomedge.images import read_folder


def refused(folder, content, suffix=".csv", **more):
    """The message with which a list is refused."""
    path = folder / f"list{suffix}"
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(InputError) as caught:
        read_folder(path, **more)
    return str(caught.value)
