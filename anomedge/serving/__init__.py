"""Configurations of other programs that run a bundle's graph: one file each, found by directory."""

from anomedge.registry import Registry
from anomedge.serving.base import Server
from anomedge.serving.graph import ServedGraph, served_graph

__all__ = ["SERVERS", "ServedGraph", "Server", "served_graph"]

SERVERS: Registry[Server] = Registry(
    package=__name__,
    group="anomedge.servers",
    kind="server",
    base=Server,
)
