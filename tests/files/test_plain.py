"""A path may become a pipe between the check of it and its being opened; nothing may then wait for a writer."""

import os
import shutil
import signal
from contextlib import contextmanager

import pytest

from anomedge.bundle import Bundle
from anomedge.bundle import opened as bundles
from anomedge.commands._recipes import read_recipe
from anomedge.errors import AnomedgeError, InputError, ModelError
from anomedge.files import open_plain, sha256_of_file
from anomedge.lint.partial_reading import read_without_weights
from anomedge.pipelines.model import load
from anomedge.runtimes.graph_file import GraphFile

pytestmark = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="no pipes in the file system"
)


@contextmanager
def no_waiting(seconds=10):
    """Fail, rather than hang, when the block waits."""

    def fail(*_):
        raise AssertionError("waits for a writer of the pipe")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def test_a_file_exchanged_for_a_pipe_while_a_bundle_is_opened_is_refused(
    bundle_paths, tmp_path, monkeypatch
):
    copy = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], copy)
    walk = bundles.hashed_files

    def walk_then_exchange(root):
        names = walk(root)
        (copy / "golden/000.png").unlink()
        os.mkfifo(copy / "golden/000.png")
        monkeypatch.setattr(bundles, "hashed_files", walk)
        return names

    monkeypatch.setattr(bundles, "hashed_files", walk_then_exchange)
    with no_waiting(), pytest.raises(AnomedgeError, match="pipe"):
        Bundle.open(copy)


def test_a_link_is_opened_only_where_links_are_allowed(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_plain(tmp_path / "link") as file:
        assert file.read() == b"content"
    with pytest.raises(OSError, match="link"):
        open_plain(tmp_path / "link", links=False)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (sha256_of_file, OSError),
        (load, ModelError),
        (read_without_weights, InputError),
        (lambda path: read_recipe(str(path), {}), InputError),
        (lambda path: GraphFile(path).read(path.name), OSError),
    ],
    ids=["sha256", "model", "graph to lint", "recipe", "graph to run"],
)
def test_no_reader_waits_for_a_pipe(read, error, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with no_waiting(), pytest.raises(error, match="no plain file"):
        read(tmp_path / "pipe")
