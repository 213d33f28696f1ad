"""Synthetic defects: one file each, found by directory; they plant a defect in a normal image."""

from anomedge.pipelines.synthetic.base import SyntheticDefect, plant
from anomedge.registry import Registry

__all__ = ["SYNTHETIC_DEFECTS", "SyntheticDefect", "plant"]

SYNTHETIC_DEFECTS: Registry[SyntheticDefect] = Registry(
    package=__name__,
    group="anomedge.synthetic_defects",
    kind="synthetic defect",
    base=SyntheticDefect,
)
