"""Numbers, text, bytes and constants of pickles."""

from tests.interop.archive.making import content_of, write_archive


def test_escapes_of_python_2_do_not_warn(tmp_path):
    path = write_archive(tmp_path / "file.pt", rb"S'\q\x41'" + b"\n.")
    assert content_of(path) == r"\q" + "A"
