"""A sink from an installed distribution: `anomedge watch --sink` finds it by its address, with no other file edited."""

import json
import socket
import subprocess
import sys
import threading

from tests.extending.distribution import (
    environment_with,
    install_example_of_the_page,
)

CODE = """
import io, sys
from pathlib import Path
from anomedge.station import EventWriter
from anomedge.station.deliveries import open_sinks
from anomedge.station.sinks import SINKS

assert "line" in SINKS.names()
sinks = open_sinks([sys.argv[1]], Path(sys.argv[2]), 10**6)
writer = EventWriter(sys.stdout, sinks)
writer.write("started")
writer.write("frame", number=1)
writer.write("stopped")
"""


def test_the_example_of_the_page_delivers_events(tmp_path):
    site = install_example_of_the_page(
        tmp_path / "site",
        "class LineSocket(Sink)",
        "anomedge.sinks",
        "line = line_socket:LineSocket",
    )
    got = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def answer():
            for _ in range(3):
                with server.accept()[0] as client, client.makefile() as lines:
                    got.append(json.loads(lines.readline()))
                    client.sendall(b".")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"line://127.0.0.1:{server.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", CODE, address, tmp_path],
            capture_output=True,
            text=True,
            env=environment_with(site),
            timeout=60,
        )
        thread.join(60)
    assert done.returncode == 0, done.stderr
    assert [event["event"] for event in got] == ["started", "frame", "stopped"]
    assert json.loads(done.stdout.splitlines()[-1])["sinks"] == [
        {"name": address, "delivered": 3, "waiting": 0, "spool_dropped": 0}
    ]
