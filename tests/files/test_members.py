"""Names of files in a manifest lead nowhere outside its folder."""

import pytest

from anomedge.errors import IntegrityError
from anomedge.files import safe_member


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../b", "/a", "a//b", "a\\b", "c:a", "a\0"],
)
def test_names_that_are_not_plain_relative_paths_are_refused(name, tmp_path):
    with pytest.raises(IntegrityError):
        safe_member(tmp_path, name)


def test_links_are_refused_and_plain_paths_resolved(tmp_path):
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(IntegrityError, match="is a link"):
        safe_member(tmp_path, "link/etc/passwd")
    assert safe_member(tmp_path, "a/b.onnx") == tmp_path / "a" / "b.onnx"
