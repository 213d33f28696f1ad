"""anomedge watch: inspect every frame of a source as it arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anomedge.bundle import Bundle, require_outside
from anomedge.commands._chosen_runtime import chosen, print_choice
from anomedge.commands._common_options import (
    Device,
    Local,
    Precision,
    Runtime,
    Threads,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole
from anomedge.commands._live_options import (
    FirstFrame,
    Frames,
    ReadTimeout,
    Retries,
    with_live,
)
from anomedge.commands._maps import require_map
from anomedge.commands._memory import open_memory
from anomedge.commands._observer_options import (
    Collect,
    CollectTo,
    DriftWindow,
    NoDrift,
)
from anomedge.commands._single_run import refuse_failed_run
from anomedge.commands._station_run import run_station
from anomedge.errors import InputError
from anomedge.inspector import Inspector
from anomedge.station import (
    Order,
    Source,
    SourceOptions,
    StationOptions,
    open_source,
)
from anomedge.station.candidate import CandidateRules
from anomedge.station.deliveries import open_sinks
from anomedge.station.drift.levels import DEFAULT_WINDOW
from anomedge.station.observers import ObserverOptions
from anomedge.station.picture_keeper import PictureKeeper
from anomedge.station.reactions import ReactionOptions
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
            "under a hidden name, then rename it; it may appear later. Camera: its number, or an rtsp:// or http:// URL; ./0 is a folder. "
            "V4L2 device: /dev/video0. GStreamer: 'gst:PIPELINE', as gst-launch-1.0 takes it, without a sink, with caps at its "
            "end. Standard input: raw:WIDTHxHEIGHT:FORMAT, raw frames of rgb, bgr, grey, mono12, bayer_rggb, ..."
        ),
    ],
    on_fail: Annotated[
        str | None,
        Option(
            metavar="CMD",
            help="Command for every anomalous frame, run in order, without a shell, with the JSON line on its standard "
            "input. {name}, {path} (folders only), {score}, {label} (normal, anomalous or undecided) and {reason} (of an "
            "undecided frame) are replaced; the same values are in $ANOMEDGE_NAME, $ANOMEDGE_PATH, $ANOMEDGE_SCORE, "
            "$ANOMEDGE_LABEL and $ANOMEDGE_REASON, which a shell command must use instead: "
            "sh -c 'echo \"$ANOMEDGE_NAME\"'. A slow command delays the loop.",
        ),
    ] = None,
    on_error: Annotated[
        str | None,
        Option(
            metavar="CMD",
            help="The same for every undecided frame: unreadable, of another size, or a failure of the runtime.",
        ),
    ] = None,
    on_pass: Annotated[
        str | None,
        Option(metavar="CMD", help="The same for every normal frame."),
    ] = None,
    fail_safe: Annotated[
        bool,
        Option(
            "--fail-safe",
            help="Run --on-fail for every undecided frame too, before --on-error.",
        ),
    ] = False,
    command_timeout: Annotated[
        float,
        Option(
            "--command-timeout",
            "--on-fail-timeout",
            min=0.1,
            max=86400,
            help="Timeout of every CMD, in seconds.",
        ),
    ] = 10.0,
    command_queue: Annotated[
        int,
        Option(
            min=1,
            max=4096,
            help="Largest number of commands that wait. When that many wait, inspection waits too.",
        ),
    ] = 4,
    save: Annotated[
        Path | None, Option(help="Folder for overlays of anomalous frames.")
    ] = None,
    keep: Annotated[
        int, Option(min=1, help="Number of newest overlays to keep.")
    ] = 1000,
    drift_window: DriftWindow = DEFAULT_WINDOW,
    no_drift: NoDrift = False,
    collect: Collect = None,
    collect_to: CollectTo = None,
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
    state: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Folder: remember in this file which pictures were decided and signalled. A restart goes on there; a signal "
            'that a kill interrupted is sent again with the same id and "repeated": true.',
        ),
    ] = None,
    at_most_once: Annotated[
        bool,
        Option(
            "--at-most-once",
            help="With --state: never send a signal twice; an interrupted one is said as the event lost.",
        ),
    ] = False,
    done: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Folder: move each decided picture to DIR after its signals.",
        ),
    ] = None,
    queue: Annotated[
        int,
        Option(
            min=1,
            max=4096,
            help="Largest number of waiting frames; see --frames.",
        ),
    ] = 8,
    limit: Annotated[
        int | None, Option(min=1, help="Stop after this number of frames.")
    ] = None,
    once: Annotated[
        bool,
        Option(
            "--once",
            help="Folder: stop after the pictures present at the start. GStreamer: stop at the end of the stream. Standard input ends in any case.",
        ),
    ] = False,
    only_new: Annotated[
        bool,
        Option("--new", help="Folder: skip the pictures present at the start."),
    ] = False,
    poll: Annotated[
        float | None,
        Option(
            min=0.01,
            max=3600,
            help="Folder: interval between listings, in seconds, without notifications of the system. Default: 0.5, and "
            "notifications where the extra watch is installed.",
        ),
    ] = None,
    settle: Annotated[
        float | None,
        Option(
            min=0,
            max=3600,
            help="Folder: read a picture when it is complete and was unchanged for this time, in seconds; default: the "
            "interval between listings. 0: pictures appear by a rename and are read at once, unchecked.",
        ),
    ] = None,
    order: Annotated[
        Order,
        Option(
            help="Folder: order of pictures that arrive within the settle time: by modification time, or by name with "
            "numbers as numbers."
        ),
    ] = Order.TIME,
    retries: Retries = None,
    policy: Frames = None,
    read_timeout: ReadTimeout = None,
    first_frame: FirstFrame = None,
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
            help="Stop with exit code 6 after this number of consecutive undecided frames, of any source.",
        ),
    ] = 10,
    heartbeat: Annotated[
        float | None,
        Option(
            metavar="SECONDS",
            min=0.1,
            max=86400,
            help="Write a line with the counts every SECONDS, while frames come and while none come.",
        ),
    ] = None,
    runtime: Runtime = None,
    device: Device = None,
    threads: Threads = None,
    precision: Precision = None,
    local: Local = None,
    pin: Annotated[
        bool,
        Option(
            "--pin",
            help="Refuse thresholds and bundles that change while the station runs; by default they are used from the next "
            "frame on.",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        Option(
            "--json", help="Accepted; the output is JSON lines in any case."
        ),
    ] = False,
) -> None:
    """Inspect every frame of a folder, camera or video as it arrives; print one JSON line each, until SIGTERM or Ctrl-C.

    A frame that cannot be inspected is undecided, which is an error line; a camera or folder that disappears is waited
    for. On a stop signal, the current frame and the pending commands are finished; a second signal stops at once. A
    restart inspects the pictures that are still in the folder again, unless --state, --done or --new is given. Frames of
    cameras and videos are taken as OpenCV decodes them, without EXIF rotation; raw frames of more than 8 bits need a bundle
    with levels. Exit codes: 0 done or stopped by a signal, 2 wrong use or, with --once, undecided or no pictures, 4 source lost,
    5 output lost (its reader went away, or no space), 6 gave up, 7 the state cannot be written. Under systemd, Type=notify
    and WatchdogSec= work.
    """
    del as_json  # there is no other output
    opened = Bundle.open(bundle, local)
    _refuse_in_bundle(opened, sink, save, collect_to, state, done, spool)
    levels = opened.manifest.levels
    given = SourceOptions(once, only_new, retries, poll, order, settle, levels)
    given = with_live(given, policy, read_timeout, first_frame)
    frames = open_source(source, given)
    commands = ReactionOptions(
        on_pass=on_pass,
        on_fail=on_fail,
        on_error=on_error,
        fail_safe=fail_safe,
        timeout=command_timeout,
        waiting=command_queue,
    )
    _refuse_conflicts(frames, save, commands)
    if save is not None:
        require_map(opened.decision, "--save")
    observed = ObserverOptions(drift_window, collect, collect_to, no_drift)
    observed.check(opened, frames.folder, save)
    memory = open_memory(state, at_most_once, done, opened, frames)
    kinds = {"once": at_most_once, "strict": state is not None}
    sinks = open_sinks(sink or [], spool, spool_limit, **kinds)
    options = StationOptions(queue, limit, give_up, stretch, heartbeat)
    opening = {
        "runtime": runtime,
        "device": device,
        "threads": threads,
        "precision": chosen_precision(opened, precision),
    }
    rules = CandidateRules(opening, stretch, needs_map=save is not None)
    with Inspector.open(opened, **opening) as inspector:  # type: ignore[arg-type]
        print_choice(inspector.session)
        # A replaced bundle is opened under the same runtime.
        opening |= chosen(inspector.session, device)
        keeper = PictureKeeper(save, keep) if save is not None else None
        _print_note(observed.note(opened))
        summary = run_station(
            inspector,
            frames,
            options,
            commands,
            keeper,
            sinks,
            None if pin else rules,
            observed,
            memory,
        )
    if once:
        refuse_failed_run(summary, frames.folder, state or done)


def _refuse_in_bundle(
    bundle: Bundle, sinks: list[str] | None, *outputs: Path | None
) -> None:
    files = [Path(sink) for sink in sinks or () if "://" not in sink]
    require_outside(bundle, *outputs, *files)


def _refuse_conflicts(
    source: Source, save: Path | None, commands: ReactionOptions
) -> None:
    """Refuse overlays in the watched folder, and {path} for frames without files."""
    if source.folder is None:
        if any("{path}" in line for line in commands.lines.values()):
            raise InputError(
                f"got {{path}} with {source.title}; expected {{name}}: only a folder's frames have a file"
            )
    elif save is not None and save.resolve() == source.folder.resolve():
        raise InputError(
            f"got --save {save}, the watched folder; expected another: overlays would be inspected"
        )


def _print_note(note: str | None) -> None:
    if note is not None:
        SafeConsole(stderr=True).print(note)
