"""Files that `anomedge evaluate` writes: scores, raw maps, and overlays of wrong decisions."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomedge.commands._result_files import (
    Format,
    Overlays,
    PictureFiles,
    RowsFile,
)
from anomedge.errors import OutputError
from anomedge.evaluation import EvaluationRun, Judged
from anomedge.images import Mask
from anomedge.images.overlay import overlay
from anomedge.names import indented, storable

__all__ = ["EvaluationFiles", "MapFormat"]

_MISSES, _ALARMS = "misses", "false-alarms"


class MapFormat(str, Enum):
    """Format of raw maps."""

    npy = "npy"
    tiff = "tiff"


class EvaluationFiles:
    """Writes the files of an evaluation, picture by picture.

    Args:
        run: the evaluation.
        scores: CSV file; whole lines after every picture.
        maps: folder for raw maps, of a detector with a map.
        form: their format.
        overlays: folder for overlays of misses and false alarms, of a detector with a map.

    Raises:
        OutputError: the CSV file cannot be written.
    """

    def __init__(
        self,
        run: EvaluationRun,
        scores: Path | None,
        maps: Path | None,
        form: MapFormat,
        overlays: Path | None,
    ) -> None:
        self._run = run
        self._form = form
        self._faults: list[str] = []
        self._maps: dict[str, PictureFiles] = {}
        self._overlays: dict[tuple[str, bool], Overlays] = {}
        names = [picture.name for picture in run.data.pictures]
        detectors = [detector.name for detector in run.subject.detectors]
        for name in detectors:
            folder = _folder_name(name)
            if maps is not None:
                self._maps[name] = PictureFiles(
                    maps / folder, names, f".{form.value}", "map"
                )
            if overlays is not None:
                for missed, part in ((True, _MISSES), (False, _ALARMS)):
                    self._overlays[name, missed] = Overlays(
                        overlays / folder / part, names
                    )
        self._rows = None
        if scores is not None:
            self._rows = RowsFile(scores, Format.csv, _columns(detectors))

    def add(self, judged: Judged) -> None:
        """Write the row, the maps and the overlays of one picture.

        Faults of maps and overlays are kept for `report_faults`.

        Raises:
            OutputError: the row cannot be written; earlier rows stay.
        """
        if self._rows is not None:
            self._rows.add([_row(judged)])
        for name, files in self._maps.items():
            anomaly_map = judged.results[name].anomaly_map
            if anomaly_map is None:
                continue
            write = _map_writer(anomaly_map, self._form)
            self._attempt(partial(files.save, judged.picture.name, write))
        for (name, missed), drawn in self._overlays.items():
            self._draw(judged, name, missed, drawn)

    def close(self) -> None:
        """Close the CSV file, if there is one."""
        if self._rows is not None:
            self._rows.close()

    def report_faults(self) -> None:
        """Raise an error that lists the files that could not be written.

        Raises:
            OutputError: a map or an overlay could not be written.
        """
        if self._faults:
            raise OutputError(
                f"every figure is complete, but {len(self._faults)} files could not be written:{indented(self._faults)}"
            )

    def _draw(
        self, judged: Judged, name: str, missed: bool, files: Overlays
    ) -> None:
        """Write the overlay of a wrong decision."""
        result, picture = judged.results[name], judged.picture
        if bool(picture.anomalous) != missed or result.anomalous == missed:
            return
        if result.anomaly_map is None:
            return
        subject = self._run.subject
        drawn = overlay(
            judged.frame,
            result.anomaly_map,
            subject.decision,
            subject.geometry,
            _truth(judged) if missed else None,
        )
        self._attempt(partial(files.write, picture.name, drawn))

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OutputError as error:
            self._faults.append(str(error))


def _folder_name(detector: str) -> str:
    return detector.replace(" ", "-")


def _columns(detectors: list[str]) -> list[str]:
    columns = ["name", "label", "kind"]
    for name in detectors:
        columns += [f"score {name}", f"decision {name}"]
    return columns


def _row(judged: Judged) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": storable(judged.picture.name),
        "label": _label(bool(judged.picture.anomalous)),
        "kind": storable(judged.kind),
    }
    for name, result in judged.results.items():
        row[f"score {name}"] = result.score
        row[f"decision {name}"] = _label(result.anomalous)
    return row


def _label(anomalous: bool) -> str:
    return "anomalous" if anomalous else "normal"


def _map_writer(
    anomaly_map: npt.NDArray[np.float32], form: MapFormat
) -> Callable[[Path], None]:
    """Return a function that writes a map (H, W) to a path."""
    values = np.ascontiguousarray(anomaly_map, dtype=np.float32)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            if form is MapFormat.npy:
                np.save(file, values)
            else:
                Image.fromarray(values).save(file, format="TIFF")

    return write


def _truth(judged: Judged) -> Mask | None:
    """Return the mask in the frame's size; None if it tells no location."""
    mask = judged.picture.mask()
    if mask is None or mask.all():
        return None
    height, width = judged.frame.shape[:2]
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    resized = grey.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized) > 127
