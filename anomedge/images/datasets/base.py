"""Base class of the layouts of data sets, and the data that they read."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from anomedge.errors import InputError
from anomedge.images.listing import Listing, scan_folder
from anomedge.images.masks import Pairs, find_pairs
from anomedge.images.picture import Picture

__all__ = [
    "ANOMALOUS",
    "MASKS",
    "OTHER_SPLIT",
    "DataSet",
    "DataSetLayout",
    "Sample",
    "Selection",
    "Source",
    "Split",
]

Split = Literal["train", "test", "validation"]

ANOMALOUS, OTHER_SPLIT, MASKS = "anomalous", "of another split", "masks"
NO_SPLIT = "outside of the splits"
"""Reasons to leave files out."""


@dataclass(frozen=True)
class Source:
    """The path of a data set that the user gave, and the label of its normal pictures, if they gave one."""

    path: Path
    normal: str | None = None

    @cached_property
    def listing(self) -> Listing:
        """The contents of the folder.

        Raises:
            InputError: no folder, no picture, or an entry cannot be read.
        """
        listing = scan_folder(self.path)
        listing.require_complete()
        listing.require_pictures()
        return listing

    @cached_property
    def pairs(self) -> Pairs:
        """The masks beside pictures.

        Raises:
            InputError: files are named as masks, and have no content of a mask.
        """
        pairs = find_pairs(self.listing.pictures, self.path)
        pairs.require_clear(self.path)
        return pairs

    @cached_property
    def pictures(self) -> list[Path]:
        """The pictures without the masks, sorted by relative path."""
        masks = self.pairs.masks
        return [path for path in self.listing.pictures if path not in masks]

    @property
    def masks(self) -> set[Path]:
        """All masks below the folder."""
        return self.pairs.masks | set(self.listing.masks)


class Sample(NamedTuple):
    """A picture and its split; None if the data set has no splits."""

    picture: Picture
    split: Split | None = None


class Selection(NamedTuple):
    """Normal pictures of a data set.

    Attributes:
        pictures: the pictures.
        left_out: number of files left out, by reason.
        unlabelled: number of pictures by folder, if none has a label, so that all count as normal, and several folders
            or a list hold them; else empty.
    """

    pictures: list[Picture]
    left_out: dict[str, int]
    unlabelled: dict[str, int]


@dataclass(frozen=True)
class DataSet:
    """The pictures of a data set.

    Attributes:
        path: the folder or list.
        layout: name of the layout.
        samples: pictures with labels, masks and splits, where known.
        masks: masks that were found among the files; those of samples may be left out.
    """

    path: Path
    layout: str
    samples: list[Sample]
    masks: set[Path] = field(default_factory=set)

    def evaluated(self) -> list[Picture]:
        """Return the pictures of the split `test`; all pictures of a data set without splits.

        Raises:
            InputError: the data set has other splits only.
        """
        return [sample.picture for sample in self._of("test")]

    def labelled(self) -> list[Picture]:
        """Return the pictures of `evaluated`, either all labelled or none.

        Raises:
            InputError: some pictures are labelled and others not, or as `evaluated`.
        """
        pictures = self.evaluated()
        _refuse_unknown(self.path, pictures)
        return pictures

    def normal(self, split: Split) -> Selection:
        """Return the normal pictures of a split, or of the whole data set if it has no splits.

        Unlabelled pictures count as normal if no picture is labelled.

        Raises:
            InputError: some pictures are labelled and others not, no picture is normal, or the data set has other splits
                only.
        """
        chosen = self._of(split)
        _refuse_unknown(self.path, [s.picture for s in chosen])
        left_out: Counter[str] = Counter()
        outside = self._outside(chosen)
        if outside:
            left_out[NO_SPLIT] = outside
        if len(self.samples) > len(chosen) + outside:
            left_out[OTHER_SPLIT] = len(self.samples) - len(chosen) - outside
        pictures = []
        for picture, _ in chosen:
            if picture.anomalous:
                left_out[ANOMALOUS] += 1
            else:
                pictures.append(picture)
        of_samples = {s.picture.mask_path for s in self.samples} - {None}
        if self.masks or of_samples:
            left_out[MASKS] = len(self.masks | of_samples)
        if not pictures:
            raise InputError(
                f"{self.path}: got {len(chosen)} anomalous pictures and no normal one; expected normal pictures: "
                f"name their label with --normal-label"
            )
        return Selection(pictures, dict(left_out), self._unlabelled(pictures))

    def _outside(self, chosen: Sequence[Sample]) -> int:
        """Return the number of samples in no split that were not chosen."""
        if len(chosen) == len(self.samples):
            return 0
        return sum(sample.split is None for sample in self.samples)

    def _unlabelled(self, pictures: Sequence[Picture]) -> dict[str, int]:
        """Return the pictures of each folder, if the user should see that none has a label."""
        folders = Counter(
            picture.name.rpartition("/")[0] or "." for picture in pictures
        )
        labelled = any(picture.anomalous is not None for picture in pictures)
        plain = len(folders) == 1 and self.path.is_dir()
        return {} if labelled or plain else dict(sorted(folders.items()))

    def _of(self, split: Split) -> list[Sample]:
        """Return the samples of a split, or all samples of a data set without splits.

        Raises:
            InputError: the data set has other splits only.
        """
        counts = Counter(s.split for s in self.samples if s.split is not None)
        if not counts:
            return self.samples
        if not counts[split]:
            shown = ", ".join(f"{name} {counts[name]}" for name in counts)
            raise InputError(
                f"{self.path}: got the splits {shown}; expected pictures of the split {split}: name that split, or give a "
                f"folder or list without splits"
            )
        return [sample for sample in self.samples if sample.split == split]


def _refuse_unknown(path: Path, pictures: Sequence[Picture]) -> None:
    """Refuse pictures of which some are labelled and others not."""
    unknown = [picture for picture in pictures if picture.anomalous is None]
    if unknown and len(unknown) < len(pictures):
        raise InputError(
            f"{path}: got {len(pictures) - len(unknown)} labelled pictures and {len(unknown)} without a label, "
            f"{unknown[0].name} first; expected a label of each: keep normal pictures in a folder `good`, or give a "
            f"list (CSV) with a column `label`"
        )


class DataSetLayout(abc.ABC):
    """A layout of data sets: how it is recognised, and how labels, masks and splits are read.

    Attributes:
        name: as messages state it.
        summary: one line for the documentation.
        order: layouts are tried by this number; the first that matches reads the data set.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    order: ClassVar[int]

    @classmethod
    @abc.abstractmethod
    def matches(cls, source: Source) -> bool:
        """Return whether a path is a data set of this layout.

        Raises:
            InputError: it is one, but labels can be understood in several ways.
        """

    @classmethod
    @abc.abstractmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures of a data set.

        Raises:
            InputError: files are missing or unreadable, or labels are not understood.
        """

    @classmethod
    def check_normal(cls, source: Source, data: DataSet) -> None:
        """Refuse a data set that must not be used for normal pictures; accept every one by default.

        Raises:
            InputError: normal pictures are not told from anomalous ones.
        """
        del source, data
