"""Base of detectors that are built from anomalib's files, and their registry.

To add one, subclass `ImportedDetector` in `anomedge/interop/anomalib/<name>.py`,
or in a distribution with an entry point in the group `anomedge.anomalib_imports`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    StoredThresholds,
    Taken,
)
from anomedge.pipelines.base import Pipeline
from anomedge.registry import Registry

__all__ = ["REGISTRY", "ImportedDetector", "tensors_fit"]

Size = tuple[int, int]


class ImportedDetector(ABC):
    """A detector that can be built from a file of anomalib.

    Attributes:
        name: name of the detector, for `--detector`.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file's tensors are those of this detector."""

    @classmethod
    @abstractmethod
    def build(
        cls, foreign: ForeignModel, size: Size, taken: Taken
    ) -> Pipeline[Any, Any]:
        """Return the fitted detector, in evaluation mode.

        Args:
            foreign: the file's content; its preprocessing states mean and std.
            size: (H, W) of the images.
            taken: gets a line for each thing that is taken.

        Raises:
            ModelError: missing, misshapen or unfitted tensors, or another
                network.
            InputError: a size that does not fit the file.
        """

    @classmethod
    def thresholds(
        cls, foreign: ForeignModel, taken: Taken
    ) -> StoredThresholds:
        """Return the file's thresholds and extremes in the units of the detector's scores; by default those of the file.

        Override this method if the detector's scores differ from anomalib's.
        The same pictures must be above the threshold. A threshold is infinite
        if all pictures are on one side of it.

        Args:
            foreign: the file's content.
            taken: gets a line for each value that is changed.

        Raises:
            ModelError: tensors that the change needs are missing or wrong.
        """
        del taken
        return foreign.thresholds


def tensors_fit(
    foreign: ForeignModel, needed: Iterable[str], known: tuple[str, ...]
) -> bool:
    """Return whether a file has the tensors of a model, and none of another one.

    Args:
        foreign: the file's content.
        needed: names, and beginnings of names that end with a dot.
        known: beginnings of all names that the model has.
    """
    names = foreign.tensors.keys()
    has_needed = all(
        any(name.startswith(each) for name in names)
        if each.endswith(".")
        else each in names
        for each in needed
    )
    return has_needed and all(name.startswith(known) for name in names)


REGISTRY: Registry[ImportedDetector] = Registry(
    package="anomedge.interop.anomalib",
    group="anomedge.anomalib_imports",
    kind="detector to import",
    base=ImportedDetector,
)
