"""The process of a pipeline, with a stand-in for gst-launch-1.0 that gets the same arguments."""

import os
import sys

import pytest

from anomedge.errors import InputError, RuntimeMissing
from anomedge.station.sources import _gst_launch
from anomedge.station.sources._gst_launch import GstLaunch, find_gst_launch

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="gst: needs Linux or macOS"
)

STAND_IN = """#!{python} -S
import os, sys, time
assert sys.argv[1:3] == ["-q", "--"], sys.argv
sink = sys.argv[-1]
out = os.fdopen(int(sink.removeprefix("fd=")), "wb", buffering=0)
print("a driver prints to standard output")
def send(content):
    head = "--anomedge\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(content)
    out.write(head.encode() + content + b"\\r\\n")
{body}
"""


def stand_in(folder, body):
    """Write a program that acts as gst-launch-1.0; return its path."""
    program = folder / "gst-launch-1.0"
    text = STAND_IN.format(python=sys.executable, body=body)
    program.write_text(text)
    program.chmod(0o755)
    return program


def ended(program, pipeline=("testsrc", "!", "video/x-raw")):
    """Frames and the reason of a run to its end."""
    running = GstLaunch(str(program), list(pipeline))
    content = running.frames.read()
    return content, running.end()


def test_frames_come_from_a_pipe_of_their_own(tmp_path):
    program = stand_in(tmp_path, "send(b'abc')")
    content, reason = ended(program)
    assert content == b"--anomedge\r\nContent-Length: 3\r\n\r\nabc\r\n"
    assert reason == ""


def test_arguments_are_passed_without_a_shell(tmp_path):
    program = stand_in(tmp_path, "send(repr(sys.argv[3:-6]).encode())")
    hostile = ["a", "location=$(touch x); `b` 'c", "!", "caps"]
    content, _ = ended(program, hostile)
    assert repr(hostile).encode() in content


def test_the_first_error_is_the_reason_without_its_password(tmp_path):
    body = (
        "sys.stderr.write('note\\nERROR: no rtsp://me:secret@camera/1?key=2\\n"
        "ERROR: later\\n'); sys.exit(1)"
    )
    _, reason = ended(stand_in(tmp_path, body))
    assert reason == "ERROR: no rtsp://camera/1"


def test_an_end_without_a_message_has_its_exit_code(tmp_path):
    _, reason = ended(stand_in(tmp_path, "sys.exit(7)"))
    assert reason == "gst-launch-1.0 ended with 7"


def test_a_pipeline_that_gstreamer_refuses_is_wrong_use(tmp_path):
    body = "sys.exit('WARNING: erroneous pipeline: no element \"nosuch\"')"
    with pytest.raises(InputError, match="no element"):
        ended(stand_in(tmp_path, body))


def test_a_process_that_goes_on_without_frames_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(_gst_launch, "_END_TIMEOUT", 0.05)
    program = stand_in(tmp_path, "out.close(); time.sleep(60)")
    assert ended(program)[1] == "gst-launch-1.0 ended with -9"


def test_without_gstreamer_the_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissing, match=r"apt-get install gstreamer1\.0"):
        find_gst_launch()
    program = stand_in(tmp_path, "")
    assert find_gst_launch() == str(program)
