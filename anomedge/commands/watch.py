"""anomedge watch: the loop an inspection station runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from anomedge.commands._options import Device, Precision, Runtime, Threads
from anomedge.errors import InputError
from anomedge.inspector import Inspector
from anomedge.station import Lines, Station, StationOptions, Summary
from anomedge.station.reactions import OnFail, PictureKeeper
from anomedge.station.sources import (
    CameraSource,
    FolderSource,
    Source,
    VideoSource,
    is_camera,
)

EXAMPLE = "anomedge watch part.anomedge frames/ --save out/"

Option = typer.Option


def watch(
    bundle: Annotated[Path, typer.Argument(help="Bundle to inspect with.")],
    source: Annotated[
        str,
        typer.Argument(
            help="A folder (pictures directly in it; write under a hidden name, then rename), a camera (its number, or "
            "an rtsp:// or http:// URL), or a video file. ./0 is a folder, 0 a camera."
        ),
    ],
    on_fail: Annotated[
        str | None,
        Option(
            metavar="CMD",
            help="Run for every anomalous frame, in order, without a shell, with the JSON line on its input; {name}, "
            "{path} (folders only) and {score} are filled in, and are in $ANOMEDGE_NAME, $ANOMEDGE_PATH and "
            "$ANOMEDGE_SCORE, which a shell's command line must use: sh -c 'echo \"$ANOMEDGE_NAME\"'. A slow command "
            "makes the loop wait.",
        ),
    ] = None,
    on_fail_timeout: Annotated[
        float, Option(min=0.1, max=86400, help="Seconds until CMD is killed.")
    ] = 10.0,
    save: Annotated[
        Path | None, Option(help="Folder for overlays of anomalous frames.")
    ] = None,
    keep: Annotated[
        int, Option(min=1, help="Overlays that stay in it: the newest.")
    ] = 1000,
    queue: Annotated[
        int,
        Option(
            min=1,
            max=4096,
            help="Frames that may wait; a camera drops its oldest then.",
        ),
    ] = 8,
    limit: Annotated[
        int | None, Option(min=1, help="Stop after so many frames.")
    ] = None,
    once: Annotated[
        bool, Option("--once", help="Folder: inspect what is there, then stop.")
    ] = False,
    only_new: Annotated[
        bool,
        Option("--new", help="Folder: leave out what is there at the start."),
    ] = False,
    poll: Annotated[
        float,
        Option(min=0.01, max=3600, help="Folder: seconds between two looks."),
    ] = 0.5,
    retries: Annotated[
        int | None,
        Option(
            min=0,
            help="Camera: attempts in a row to reopen it; for ever when not given.",
        ),
    ] = None,
    stretch: Annotated[
        bool,
        Option(
            "--stretch",
            help="Stretch frames of another size than the bundle's.",
        ),
    ] = False,
    give_up: Annotated[
        int,
        Option(
            min=1,
            help="End when so many frames in a row could not be inspected.",
        ),
    ] = 10,
    runtime: Runtime = None,
    device: Device = "cpu",
    threads: Threads = None,
    precision: Precision = "fp32",
    as_json: Annotated[
        bool,
        Option(
            "--json", help="Accepted; the output is JSON lines in any case."
        ),
    ] = False,
) -> None:
    """Inspect every frame of a folder, camera or video as it comes, one JSON line each, until SIGTERM or Ctrl-C.

    A picture that cannot be used is an error line; a camera or folder that goes away is waited for. To stop, it
    finishes the frame in hand and the commands already asked for; a second signal stops at once. Started again, it
    inspects again what is still in the folder, unless with --new. Frames of cameras and videos are taken as OpenCV
    gives them, without EXIF rotation.
    """
    del as_json  # there is no other output
    frames = _source(
        source, once=once, only_new=only_new, poll=poll, retries=retries
    )
    if isinstance(frames, FolderSource):
        if save is not None and save.resolve() == frames.folder.resolve():
            raise InputError(
                f"got --save {save}, the watched folder; expected another: overlays would be inspected"
            )
    elif on_fail is not None and "{path}" in on_fail:
        raise InputError(
            f"got {{path}} with {frames.name}; expected {{name}}: only a folder's frames have a file"
        )
    lines = Lines(sys.stdout)
    options = StationOptions(
        queue=queue, limit=limit, give_up=give_up, stretch=stretch
    )
    with Inspector.open(
        bundle,
        runtime=runtime,
        device=device,
        threads=threads,
        precision=precision,
    ) as inspector:
        keeper = PictureKeeper(save, keep) if save is not None else None
        command = (
            OnFail(on_fail, lines.error, timeout=on_fail_timeout)
            if on_fail is not None
            else None
        )
        station = Station(
            inspector, frames, lines, options, command, keeper, tell=_warn
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


def _source(
    address: str,
    *,
    once: bool,
    only_new: bool,
    poll: float,
    retries: int | None,
) -> Source:
    """The source that an address means, and a refusal of options that it has no use for."""
    path = Path(address)
    camera, folder = is_camera(address), path.is_dir()
    if not (camera or folder or path.is_file()):
        raise InputError(
            f"got {address}; expected a folder, a video file, a camera's number or a URL such as rtsp://camera/1"
        )
    if (once or only_new) and (camera or not folder):
        raise InputError(
            "got --once or --new with a camera or video; expected a folder: --limit ends after frames"
        )
    if once and only_new:
        raise InputError(
            "got --once with --new; expected one of them: together they inspect nothing"
        )
    if retries is not None and not camera:
        raise InputError(
            "got --retries without a camera; expected a camera's number or URL"
        )
    if camera:
        return CameraSource(address, retries=retries)
    return (
        FolderSource(path, poll=poll, only_new=only_new, once=once)
        if folder
        else VideoSource(path)
    )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _run(station: Station) -> Summary:
    try:
        return station.run()
    finally:
        if station.lines.closed:
            # What is left in the buffer has no reader; Python would complain of it when it ends.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _stopped_by_signals(
    stop: Callable[[], None], last_words: Callable[[], None]
) -> Iterator[None]:
    """Within the block, the first SIGTERM or SIGINT calls `stop`; a second one calls `last_words` and ends the process.

    Elsewhere than in the main thread, where Python takes no handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            stop()
            return
        with suppress(OSError):
            last_words()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    previous = {
        number: signal.signal(number, handle)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(
                number, signal.SIG_DFL if handler is None else handler
            )
