"""Servers: one file each, with names and layouts that exist."""

from anomedge.layouts import LAYOUTS
from anomedge.serving import SERVERS


def test_members_are_found_by_directory():
    assert SERVERS.names() == ["deepstream", "triton", "trtexec"]


def test_their_layouts_exist():
    for server in SERVERS.members().values():
        assert set(server.layouts) <= set(LAYOUTS.names())
