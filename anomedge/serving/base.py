"""Base class of servers: programs that run a graph by a configuration of their own."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import ClassVar

from anomedge.serving.graph import ServedGraph

__all__ = ["Server"]


class Server(abc.ABC):
    """A program that runs a bundle's graph.

    Attributes:
        name: as users write it.
        summary: for the help text of `anomedge deploy`.
        layouts: layouts that it can feed, the preferred one first; empty for any.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abc.abstractmethod
    def write(cls, graph: ServedGraph, folder: Path) -> None:
        """Write the configuration, and copies of the files that it names, into an empty folder.

        Raises:
            InputError: it cannot run the graph.
        """
