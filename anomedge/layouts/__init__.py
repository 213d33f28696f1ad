"""Input and output layouts of graphs: one file each, found by directory and in the entry-point group `anomedge.layouts`.

The export writes a layout's graph and the device proves it, so these files are on the device side: they import onnx only
inside the methods that write.
"""

from anomedge.layouts.base import Layout, LayoutOutput
from anomedge.layouts.frames import Frames
from anomedge.registry import Registry

__all__ = ["LAYOUTS", "Frames", "Layout", "LayoutOutput"]

LAYOUTS: Registry[Layout] = Registry(
    package=__name__,
    group="anomedge.layouts",
    kind="layout",
    base=Layout,
    aliases=lambda member: member.aliases,
)
