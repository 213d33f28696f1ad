"""Layouts of data sets: one file each, found by directory and in the entry-point group `anomedge.datasets`."""

from anomedge.images.datasets.base import (
    DataSet,
    DataSetLayout,
    Sample,
    Selection,
    Source,
    Split,
)
from anomedge.registry import Registry

__all__ = [
    "DATA_SETS",
    "DataSet",
    "DataSetLayout",
    "Sample",
    "Selection",
    "Source",
    "Split",
]

DATA_SETS: Registry[DataSetLayout] = Registry(
    package=__name__,
    group="anomedge.datasets",
    kind="data set layout",
    base=DataSetLayout,
)
