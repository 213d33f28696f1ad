"""anomedge watch: inspect every frame of a source as it arrives."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from anomedge.bundle import Bundle
from anomedge.commands._common_options import (
    Device,
    Precision,
    Runtime,
    Threads,
    chosen_precision,
)
from anomedge.commands._maps import require_map
from anomedge.commands._signals import stop_signals_handled
from anomedge.errors import InputError
from anomedge.inspector import Inspector
from anomedge.station import (
    EventWriter,
    Source,
    SourceOptions,
    Station,
    StationOptions,
    Summary,
    open_source,
)
from anomedge.station.deliveries import open_sinks
from anomedge.station.reactions import OnFail, PictureKeeper
from anomedge.station.sinks import SINKS
from anomedge.station.sources import SOURCES

EXAMPLE = "anomedge watch part.anomedge frames/ --save out/"

Option = typer.Option


def watch(
    bundle: Annotated[Path, typer.Argument(help="Bundle to inspect with.")],
    source: Annotated[
        str,
        typer.Argument(
            help=f"Address of a source ({', '.join(SOURCES.names())}). Folder: pictures directly in it; write a picture "
            "under a hidden name, then rename it. Camera: its number, or an rtsp:// or http:// URL; ./0 is a folder."
        ),
    ],
    on_fail: Annotated[
        str | None,
        Option(
            metavar="CMD",
            help="Command for every anomalous frame, run in order, without a shell, with the JSON line on its standard "
            "input. {name}, {path} (folders only) and {score} are replaced; the same values are in $ANOMEDGE_NAME, "
            "$ANOMEDGE_PATH and $ANOMEDGE_SCORE, which a shell command must use instead: "
            "sh -c 'echo \"$ANOMEDGE_NAME\"'. A slow command delays the loop.",
        ),
    ] = None,
    on_fail_timeout: Annotated[
        float, Option(min=0.1, max=86400, help="Timeout of CMD, in seconds.")
    ] = 10.0,
    save: Annotated[
        Path | None, Option(help="Folder for overlays of anomalous frames.")
    ] = None,
    keep: Annotated[
        int, Option(min=1, help="Number of newest overlays to keep.")
    ] = 1000,
    sink: Annotated[
        list[str] | None,
        Option(
            metavar="ADDRESS",
            help=f"Send every event to a sink as well ({', '.join(SINKS.names())}); repeatable. NAME.jsonl, NAME.csv, "
            "NAME.sqlite, http://..., mqtt://HOST/TOPIC, opc.tcp://HOST?node=ID, modbus://HOST/REGISTER. While it is down, "
            "events wait in the spool.",
        ),
    ] = None,
    spool: Annotated[
        Path | None,
        Option(
            help="Folder for events that sinks have not received; by default in the user's state folder."
        ),
    ] = None,
    spool_limit: Annotated[
        int,
        Option(
            min=65536,
            help="Largest size of each sink's waiting events, in bytes; beyond it the oldest are dropped.",
        ),
    ] = 64 * 1024 * 1024,
    queue: Annotated[
        int,
        Option(
            min=1,
            max=4096,
            help="Largest number of waiting frames; a camera drops its oldest.",
        ),
    ] = 8,
    limit: Annotated[
        int | None, Option(min=1, help="Stop after this number of frames.")
    ] = None,
    once: Annotated[
        bool,
        Option(
            "--once",
            help="Folder: stop after the pictures present at the start.",
        ),
    ] = False,
    only_new: Annotated[
        bool,
        Option("--new", help="Folder: skip the pictures present at the start."),
    ] = False,
    poll: Annotated[
        float,
        Option(
            min=0.01,
            max=3600,
            help="Folder: interval between listings, in seconds.",
        ),
    ] = 0.5,
    retries: Annotated[
        int | None,
        Option(
            min=0,
            help="Camera: consecutive attempts to reopen it; no limit by default.",
        ),
    ] = None,
    stretch: Annotated[
        bool,
        Option(
            "--stretch",
            help="Stretch frames whose size differs from the bundle's.",
        ),
    ] = False,
    give_up: Annotated[
        int,
        Option(
            min=1,
            help="Stop with an error after this number of consecutive failures.",
        ),
    ] = 10,
    runtime: Runtime = None,
    device: Device = None,
    threads: Threads = None,
    precision: Precision = None,
    as_json: Annotated[
        bool,
        Option(
            "--json", help="Accepted; the output is JSON lines in any case."
        ),
    ] = False,
) -> None:
    """Inspect every frame of a folder, camera or video as it arrives; print one JSON line each, until SIGTERM or Ctrl-C.

    A picture that cannot be used is an error line; a camera or folder that disappears is waited for. On a stop signal,
    the current frame and the pending commands are finished; a second signal stops at once. A restart inspects the
    pictures that are still in the folder again, unless --new is given. Frames of cameras and videos are taken as OpenCV
    decodes them, without EXIF rotation.
    """
    del as_json  # there is no other output
    opened = Bundle.open(bundle)
    given = SourceOptions(once=once, new=only_new, retries=retries, poll=poll)
    frames = open_source(source, replace(given, levels=opened.manifest.levels))
    _refuse_conflicts(frames, save, on_fail)
    if save is not None:
        require_map(opened.decision, "--save")
    sinks = open_sinks(sink or [], spool, spool_limit)
    output = EventWriter(sys.stdout, sinks)
    options = StationOptions(
        queue=queue, limit=limit, give_up=give_up, stretch=stretch
    )
    with Inspector.open(
        opened,
        runtime=runtime,
        device=device,
        threads=threads,
        precision=chosen_precision(opened, precision),
    ) as inspector:
        keeper = PictureKeeper(save, keep) if save is not None else None
        command = (
            OnFail(on_fail, output.error, timeout=on_fail_timeout)
            if on_fail is not None
            else None
        )
        station = Station(
            inspector, frames, output, options, command, keeper, warn=_warn
        )
        with _stopped_by_signals(
            station.stop, command.kill if command is not None else lambda: None
        ):
            summary = _run(station)
    if once and summary.unusable:
        total = summary.frames + summary.unusable
        raise InputError(
            f"{summary.unusable} of {total} pictures were skipped; the error lines say why"
        )


def _refuse_conflicts(
    source: Source, save: Path | None, on_fail: str | None
) -> None:
    """Refuse overlays in the watched folder, and {path} for frames without files."""
    if source.folder is None:
        if on_fail is not None and "{path}" in on_fail:
            raise InputError(
                f"got {{path}} with {source.title}; expected {{name}}: only a folder's frames have a file"
            )
    elif save is not None and save.resolve() == source.folder.resolve():
        raise InputError(
            f"got --save {save}, the watched folder; expected another: overlays would be inspected"
        )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _run(station: Station) -> Summary:
    try:
        return station.run()
    finally:
        if station.output.closed:
            # The buffer can no longer be written; Python would report an error at exit.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stopped_by_signals(
    stop: Callable[[], None], clean_up: Callable[[], None]
) -> AbstractContextManager[None]:
    """Call `stop` on the first SIGTERM or SIGINT within the block; on the second call `clean_up` and end the process."""
    stop_requested = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal stop_requested
        if not stop_requested:
            stop_requested = True
            stop()
            return
        with suppress(OSError):
            clean_up()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return stop_signals_handled(handle)
