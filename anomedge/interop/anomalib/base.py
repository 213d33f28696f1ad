"""Base of detectors that are built from anomalib's files, and their registry.

To add one, subclass `ImportedDetector` in `anomedge/interop/anomalib/<name>.py`,
or in a distribution with an entry point in the group `anomedge.anomalib_imports`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    StoredThresholds,
    Taken,
)
from anomedge.pipelines.base import Pipeline
from anomedge.registry import Registry

__all__ = ["REGISTRY", "ImportedDetector"]

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

        A detector whose scores are another function of the pictures than
        anomalib's overrides this method: the same pictures must be above the
        threshold. An infinite threshold has all pictures on one side.

        Args:
            foreign: the file's content.
            taken: gets a line for each value that is changed.

        Raises:
            ModelError: tensors that the change needs are missing or wrong.
        """
        del taken
        return foreign.thresholds


REGISTRY: Registry[ImportedDetector] = Registry(
    package="anomedge.interop.anomalib",
    group="anomedge.anomalib_imports",
    kind="detector to import",
    base=ImportedDetector,
)
