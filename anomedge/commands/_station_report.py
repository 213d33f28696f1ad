"""The report on a station, for `anomedge report --station`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import typer

from anomedge.commands._console import SafeConsole
from anomedge.errors import InputError
from anomedge.files import canonical_json
from anomedge.names import storable

__all__ = ["StationPage", "required_bundle"]


def required_bundle(bundle: Path | None, overlays: Path | None) -> Path:
    """Return the bundle of a report that is not on a station.

    Raises:
        InputError: no bundle, or overlays, which a station alone has.
    """
    if bundle is None:
        raise InputError(
            "got neither a bundle nor --station; expected one of them: a bundle to prove, or the log of a station"
        )
    if overlays is not None:
        raise InputError(
            f"got --overlays {overlays} for a bundle; expected it with --station alone: leave it out"
        )
    return bundle


@dataclass(frozen=True)
class StationPage:
    """Options of the page on a station; see `anomedge.report.station.StationRequest`."""

    log: Path
    overlays: Path | None
    pictures: int

    def write(
        self, bundle: Path | None, output: Path, *, force: bool, as_json: bool
    ) -> None:
        """Write the page, and print its path and size; errors as in `write_station_report`.

        Raises:
            InputError: there is a bundle as well.
        """
        from anomedge.report.station import StationRequest, write_station_report

        if bundle is not None:
            raise InputError(
                f"got {bundle} and --station {self.log}; expected one of them: a bundle to prove, or the log of a station"
            )
        request = StationRequest(
            self.log, self.overlays, self.pictures, self._command(output)
        )
        found = write_station_report(request, output, force=force)
        size = output.stat().st_size
        if as_json:
            summary = {
                "report": storable(str(output)),
                "bytes": size,
                "frames": found.counts.total(),
                "bad_lines": found.bad,
            }
            typer.echo(canonical_json(summary), nl=False)
            return
        bad = f"; {found.bad} of {found.lines} lines are no events"
        SafeConsole().print(
            f"{output}: {size / 1e6:.1f} MB{bad * bool(found.bad)}"
        )

    def _command(self, output: Path) -> str:
        words = ["anomedge", "report", "--station", str(self.log)]
        words += ["-o", str(output), "--pictures", str(self.pictures)]
        if self.overlays is not None:
            words += ["--overlays", str(self.overlays)]
        return storable(shlex.join(words))
