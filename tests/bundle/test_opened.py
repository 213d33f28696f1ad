"""An opened bundle: its files, its precisions, and writing into it."""

import pytest

from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.bundle import opened as bundle_file
from anomedge.errors import OutputError
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
