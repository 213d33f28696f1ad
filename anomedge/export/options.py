"""Options of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from anomedge.images import Picture
from anomedge.layouts import LAYOUTS, Layout
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import Framing, OutsideResize

__all__ = ["ExportOptions", "Int8Options"]


@dataclass(frozen=True)
class Int8Options:
    """How a float model is quantised.

    Args:
        calibrate: folders of normal pictures, for the scales and the statistics.
        refit_on: folders of normal pictures for the statistics, where they are not those of `calibrate`.
        refit: whether to estimate the statistics again; False keeps those of the float detector.
        labelled: folders of labelled pictures, to compare decisions on as well.
        most_flips: labels that may differ from the float detector's.
        most_auroc_drop: by how much the AUROC may fall.
    """

    calibrate: Sequence[Path]
    refit_on: Sequence[Path] = ()
    refit: bool = True
    labelled: Sequence[Path] = ()
    most_flips: int = 0
    most_auroc_drop: float = 0.002


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Args:
        frame: height and width of the camera's frames; "any" for pictures of any size, resized outside the graph.
        batch: "dynamic", or the fixed batch size of the graph.
        opset: opset of the ONNX graph, 17 or later.
        golden: folders of pictures to prove on, a few of which travel along; without any, synthetic ones are made.
        runtimes: to prove under; all that can run here when empty.
        batches: to prove; 1, 2, 3 and 8 when empty.
        force: replace an existing bundle.
        backbone: the module that the model was fitted with, where that was no timm architecture.
        precisions: in which the graph is written, each proven to its own tolerance; see `anomedge.precisions`.
        layout: one or several layouts, each of which adds graphs with its input and outputs; see `anomedge.layouts`.
        normal: label of normal pictures in the folders, where it is not a known one.
        search: of a memory bank: "fp32", "int8", or "auto"; see `anomedge.export.search`.
        widen: factor on this release's tolerances, 1 to 100; the certificate states it.
        pictures: pictures to prove on, in place of those of folders.
        int8: how a float model is quantised for the precision "int8"; None for a model that is quantised already.
    """

    frame: tuple[int, int] | Literal["any"]
    batch: int | Literal["dynamic"] = "dynamic"
    opset: int = 17
    golden: Sequence[Path] = ()
    runtimes: Sequence[str] = ()
    batches: Sequence[int] = ()
    force: bool = False
    backbone: nn.Module | None = None
    precisions: Sequence[str] = ("fp32",)
    layout: str | Sequence[str] = "frames"
    normal: str | None = None
    search: str = "fp32"
    widen: float = 1.0
    int8: Int8Options | None = None
    pictures: Sequence[Picture] = ()

    @property
    def fixed_batch(self) -> int | None:
        """Fixed batch size of the graph; None for any."""
        return None if self.batch == "dynamic" else int(self.batch)

    @property
    def layouts(self) -> list[type[Layout]]:
        """The layouts, each once.

        Raises:
            InputError: one is not installed.
        """
        asked = [self.layout] if isinstance(self.layout, str) else self.layout
        return list(dict.fromkeys(LAYOUTS.get(name) for name in asked))

    def framing(self, geometry: Geometry) -> Framing:
        """How pictures become the input of a graph with this geometry."""
        return OutsideResize(geometry) if self.frame == "any" else self.frame
