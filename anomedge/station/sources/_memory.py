"""Files that a folder source read in earlier runs; without a state, none is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from anomedge.station.sources._listing import Stamp

__all__ = ["Memory"]


class Memory:
    """What a source knows of earlier runs. This one knows nothing; `anomedge.station.journal` keeps a file."""

    def known(self) -> Mapping[str, Stamp]:
        """Return the version of each file that was decided or skipped."""
        return {}

    def first_skip(self, present: Mapping[str, Stamp]) -> Mapping[str, Stamp]:
        """Return which of these files the first listing skips with `--new`: all, unless an earlier run knew the others.

        Raises:
            StateLost: they cannot be stored.
        """
        return present

    def keep_only(self, present: Collection[str]) -> None:
        """Forget the files that are no longer in the folder.

        Args:
            present: names of all its pictures.

        Raises:
            StateLost: the change cannot be stored.
        """
