"""`anomedge watch` on raw frames that another program writes to its standard input."""

import json
import os
import threading
from contextlib import contextmanager

import pytest

from anomedge import Inspector
from anomedge.__main__ import run_command
from anomedge.images import list_pictures, read_picture
from tests.conftest import FRAME


@contextmanager
def standard_input(content):
    """Standard input that gives these bytes, by a pipe."""
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)

    def write():
        with os.fdopen(writing, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        writer.join()


@pytest.mark.parametrize(
    ("cut", "code", "undecided"), [(0, 0, 0), (1, 2, 1)], ids=["whole", "cut"]
)
def test_raw_frames_are_decided_as_their_pictures(
    bundle_paths, pictures, capfd, cut, code, undecided
):
    bundle = bundle_paths["padim"]
    paths = sorted(list_pictures(pictures / "test" / "good"))
    frames = [read_picture(path) for path in paths]
    with Inspector.open(bundle, threads=1) as inspector:
        expected = [inspector.predict(frame).score for frame in frames]
    content = b"".join(frame.tobytes() for frame in frames)
    address = f"raw:{FRAME[1]}x{FRAME[0]}:rgb"
    with standard_input(content[: len(content) - cut]):
        arguments = [str(bundle), address, "--once", "--threads", "1"]
        assert run_command("watch", arguments) == code
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    scores = [line["score"] for line in said if line["event"] == "frame"]
    assert scores == expected[: len(expected) - undecided]
    assert said[-1]["undecided"] == undecided
    assert said[-1]["dropped"] == 0
