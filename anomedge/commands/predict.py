"""anomedge predict: inspect pictures; write labels, scores and heat maps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anomedge.bundle import Bundle, require_outside
from anomedge.commands._chosen_runtime import print_choice
from anomedge.commands._common_options import (
    Device,
    Local,
    Precision,
    Runtime,
    Threads,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole
from anomedge.commands._folder_drift import FolderDrift, warning_of
from anomedge.commands._maps import WITHOUT_MAP
from anomedge.commands._output_folders import output_folders
from anomedge.commands._result_files import (
    Format,
    Overlays,
    ResultsFile,
)
from anomedge.commands._threshold_lines import local_note
from anomedge.errors import InputError, OutputError, RuntimeFailure
from anomedge.files import canonical_json
from anomedge.images import (
    GROUND_TRUTH,
    Frame,
    Listing,
    joined_listing,
    list_for_inspection,
)
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector, Result
from anomedge.names import indented, printable, storable
from anomedge.progress import track

if TYPE_CHECKING:
    from anomedge.station.drift import DriftChange

EXAMPLE = "anomedge predict part.anomedge images/ -o out/"

Option = typer.Option


def predict(
    bundle: Annotated[Path, typer.Argument(help="Bundle to inspect with.")],
    pictures: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures of the bundle's frame size (of any with --frame any at export), folders or lists of such pictures."
        ),
    ],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder for results and overlays."),
    ] = None,
    form: Annotated[
        Format, Option("--format", help="Write results.csv or results.json.")
    ] = Format.csv,
    overlays: Annotated[
        bool,
        Option(
            "--overlays/--no-overlays",
            help="Draw a heat map over each picture.",
        ),
    ] = True,
    batch: Annotated[int, Option(min=1, help="Batch size.")] = 1,
    runtime: Runtime = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    local: Local = None,
    as_json: Annotated[
        bool, Option("--json", help="Print the results as JSON.")
    ] = False,
) -> None:
    """Inspect pictures: score, label and time of each, a results file, and a heat map over each picture.

    Pictures that cannot be inspected are skipped and named, and the exit code is 2; all other results are written. The
    results file is complete after every batch, so an interrupted run keeps the results so far. A warning names the figures
    (scores, brightness, contrast, sharpness) in which the pictures differ from the bundle's normal ones; with --json, every
    result has them as "drift", and the runtime and the threshold in force as "runtime" and "threshold". Of several arguments,
    results name pictures below the folder that holds all of them. Masks of a folder (below
    ground_truth, or beside pictures) are left out. A detector without an anomaly map gives no heat map.
    """
    listing = _list_pictures(pictures)
    opened = Bundle.open(bundle, local)
    require_outside(opened, output)
    _print_notes(opened, listing)
    has_map = opened.manifest.has_map
    if output and overlays and not has_map:
        SafeConsole(stderr=True).print(f"no overlays: {WITHOUT_MAP}")
    with (
        output_folders(pictures, (output,)),
        Inspector.open(
            opened,
            runtime,
            device,
            precision=chosen_precision(opened, precision),
            threads=threads,
        ) as inspector,
    ):
        print_choice(inspector.session)
        run = _Run(
            inspector,
            listing,
            ResultsFile(output, form, has_map) if output else None,
            _overlays(output, listing) if overlays and has_map else None,
        )
        starts = range(0, len(listing.pictures), batch)
        try:
            for start in track(starts, "inspecting", total=len(starts)):
                run.inspect(listing.pictures[start : start + batch])
                message = inspector.changed()
                if message is not None:
                    warnings.warn(message, stacklevel=2)
        finally:
            run.close()
            drift = run.drift.found(inspector)
            rows = _completed(run.rows, drift, inspector)
            _print(rows, as_json)
    _warn_of(drift)
    run.report_faults()


def _overlays(output: Path | None, listing: Listing) -> Overlays | None:
    """Return the folder of heat maps; None without an output folder."""
    if output is None:
        return None
    names = map(listing.name, listing.pictures)
    return Overlays(output / "overlays", names)


def _warn_of(drift: list[DriftChange]) -> None:
    """Warn if the pictures differ from the bundle's normal ones."""
    if drift:
        warnings.warn(warning_of(drift), stacklevel=2)


def _completed(
    rows: list[dict[str, Any]],
    drift: Sequence[DriftChange],
    inspector: Inspector,
) -> list[dict[str, Any]]:
    """Return the results with runtime and threshold, and with the names of drifting figures if there are some."""
    common: dict[str, Any] = {
        "runtime": inspector.session.name,
        "threshold": inspector.decision.threshold,
    }
    if drift:
        common["drift"] = [change.name for change in drift]
    return [row | common for row in rows]


@dataclass
class _Run:
    """One run of the command.

    Attributes:
        rows: results so far, one per picture.
        skipped: one line per picture that could not be inspected.
        without_overlay: one line per overlay that could not be written.
        drift: compares the pictures with the bundle's normal ones.
    """

    inspector: Inspector
    listing: Listing
    results: ResultsFile | None
    overlays: Overlays | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    without_overlay: list[str] = field(default_factory=list)
    drift: FolderDrift = field(default_factory=FolderDrift)

    def inspect(self, paths: Sequence[Path]) -> None:
        """Inspect one batch; write its results, then its overlays."""
        frames = self._read(paths)
        results = self._predict(frames)
        rows = [
            _row(self.listing.name(path), result)
            for path, result in zip(frames, results, strict=True)
        ]
        self.rows += rows
        if self.results is not None:
            self.results.add(rows)
        for (path, frame), result in zip(frames.items(), results, strict=True):
            self._draw(path, frame, result)
            self.drift.add(frame, result)

    def close(self) -> None:
        """Close the results file, if there is one."""
        if self.results is not None:
            self.results.close()

    def report_faults(self) -> None:
        """Raise an error that lists skipped pictures and folders and missing overlays, if any.

        Raises:
            InputError: a picture or a folder was skipped.
            OutputError: an overlay could not be written.
        """
        skipped = [*self.listing.unreadable, *self.skipped]
        total = len(self.listing.pictures) + len(self.listing.unreadable)
        noun = "pictures and folders" if self.listing.unreadable else "pictures"
        lost = f"{len(self.without_overlay)} overlays could not be written:{indented(self.without_overlay)}"
        if skipped:
            more = f"\n  {lost}" if self.without_overlay else ""
            raise InputError(
                f"{len(skipped)} of {total} {noun} were skipped:{indented(skipped)}{more}"
            )
        if self.without_overlay:
            raise OutputError(f"every result is written, but {lost}")

    def _read(self, paths: Sequence[Path]) -> dict[Path, Frame]:
        """Read the pictures of a batch, by path; record those that cannot be read."""
        frames = {}
        for path in paths:
            try:
                frames[path] = self.inspector.read(path)
            except InputError as error:
                self.skipped.append(str(error))
        return frames

    def _predict(self, frames: dict[Path, Frame]) -> list[Result]:
        if not frames:
            return []
        try:
            return self.inspector.predict_batch(list(frames.values()))
        except RuntimeFailure as error:
            names = ", ".join(self.listing.name(path) for path in frames)
            raise RuntimeFailure(f"{names}: {error}") from error

    def _draw(self, path: Path, frame: Frame, result: Result) -> None:
        if self.overlays is None or result.anomaly_map is None:
            return
        geometry = self.inspector.bundle.manifest.geometry
        drawn = overlay(
            frame, result.anomaly_map, self.inspector.decision, geometry
        )
        try:
            self.overlays.write(self.listing.name(path), drawn)
        except OutputError as error:
            self.without_overlay.append(str(error))


def _list_pictures(places: Sequence[Path]) -> Listing:
    """List the pictures of folders and lists, and the single pictures given."""
    for place in places:
        if not os.path.lexists(place):
            raise InputError(
                f"got {place}, which does not exist; expected a picture or a folder of them"
            )
    listings = [list_for_inspection(place) for place in places]
    for listing in listings:
        if not listing.pictures:
            listing.require_complete()
            listing.require_pictures()
    return listings[0] if len(listings) == 1 else joined_listing(listings)


def _print_notes(bundle: Bundle, listing: Listing) -> None:
    """Print to standard error that a local decision is in force, and the number of masks left out."""
    console = SafeConsole(stderr=True)
    if bundle.local is not None:
        console.print(local_note(bundle, bundle.local))
    if listing.masks:
        console.print(
            f"{len(listing.masks)} masks {_place_of(listing)} are left out"
        )


def _place_of(listing: Listing) -> str:
    """Say where the masks lie."""
    inner = [path.relative_to(listing.folder) for path in listing.masks]
    if all(GROUND_TRUTH in path.parts for path in inner):
        return "below ground_truth"
    return "beside pictures or below ground_truth"


def _row(name: str, result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {
        "picture": storable(name),
        "label": result.label,
        "score": result.score,
        "milliseconds": round(result.milliseconds, 3),
    }
    if result.mask is not None:
        row["anomalous_pixels"] = float(result.mask.mean())
    return row


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(canonical_json(rows), nl=False)
        return
    console = SafeConsole()
    for row in rows:
        colour = "red" if row["label"] == "anomalous" else "green"
        figures = f" {row['score']:12.6g}  {row['milliseconds']:8.2f} ms  "
        console.print(
            Text.assemble(
                (f"{row['label']:9}", colour),
                figures,
                printable(row["picture"]),
            )
        )
