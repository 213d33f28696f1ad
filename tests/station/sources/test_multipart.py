"""The stream of multipartmux."""

import io

import pytest

from anomedge.station.sources._connection import Disconnected
from anomedge.station.sources._multipart import parts


def stream(*contents, boundary="anomedge"):
    return b"".join(
        f"--{boundary}\r\nContent-Type: video/x-raw\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for content in contents
    )


def contents(data):
    return [part.tobytes() for part in parts(io.BytesIO(data))]


def test_parts_of_any_sizes_and_bytes():
    given = [b"abc", b"", b"\r\n--anomedge\r\n", bytes(70_000)]
    assert contents(stream(*given)) == given


def test_an_end_within_a_part_cuts_it_short():
    assert contents(stream(b"abc", b"defgh")[:-5]) == [b"abc", b"de"]


@pytest.mark.parametrize(
    "data",
    [
        b"GST_ARGUS: Creating output stream\n",
        stream(b"abc", boundary="other"),
        stream(b"abc").replace(b": 3", b": x"),
        stream(b"abc").replace(b": 3", b": 99999999999"),
        b"x" * 1000,
    ],
)
def test_other_streams_are_a_lost_connection(data):
    with pytest.raises(Disconnected):
        contents(data)
