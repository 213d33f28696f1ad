"""`anomedge watch` under a service manager, in a shell pipe, and with cameras that fail."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from anomedge import Inspector
from anomedge.__main__ import run_command
from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.images import list_pictures, read_picture
from tests.conftest import FRAME
from tests.station.sources.test_video import write_video
from tests.station.test_command import ended

COMMAND = [sys.executable, "-W", "error", "-m", "anomedge", "watch"]


@pytest.fixture(scope="module")
def part(bundle_paths, tmp_path_factory):
    """A bundle that calls every frame anomalous."""
    path = tmp_path_factory.mktemp("watch") / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], path)
    write_local(Bundle.open(path), LocalSettings(threshold=0.0))
    return path


@pytest.fixture
def folder(pictures, tmp_path):
    shutil.copytree(pictures / "test" / "good", tmp_path / "in")
    return tmp_path / "in"


def run(*arguments):
    return run_command("watch", [*map(str, arguments), "--threads", "1"])


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def named(said, event):
    return [line for line in said if line["event"] == event]


def test_a_folder_once_is_what_predict_says(bundle_paths, folder, capfd):
    assert (
        run(
            bundle_paths["padim"],
            folder,
            "--once",
            "--poll",
            "0.01",
            "--runtime",
            "ort",
            "--json",
        )
        == 0
    )
    said = lines(capfd.readouterr().out)
    assert said[0]["event"] == "started"
    assert said[0]["runtime"] == "onnxruntime"
    with Inspector.open(
        bundle_paths["padim"], runtime="ort", threads=1
    ) as inspector:
        for path, line in zip(
            sorted(list_pictures(folder), key=order),
            named(said, "frame"),
            strict=True,
        ):
            result = inspector.predict(path)
            assert (line["name"], line["score"], line["label"]) == (
                path.name,
                result.score,
                result.label,
            )
            assert line["threshold"] == inspector.decision.threshold
    assert said[-1]["event"] == "stopped"
    assert said[-1]["frames"] == 3


def order(path):
    return path.stat().st_mtime_ns, path.name


def test_once_fails_as_predict_does(part, folder, tmp_path, capfd):
    (folder / "bad.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "small.png")
    assert (
        run(
            part, folder, "--once", "--poll", "0.01", "--save", tmp_path / "out"
        )
        == 2
    )
    captured = capfd.readouterr()
    assert {line["name"] for line in named(lines(captured.out), "error")} == {
        "bad.png",
        "small.png",
    }
    assert "2 of 5 pictures were skipped" in captured.err
    assert len(list((tmp_path / "out").iterdir())) == 3
    with Image.open(next((tmp_path / "out").iterdir())) as overlay:
        assert overlay.size == (FRAME[1], FRAME[0])


def test_once_without_a_picture_fails(part, folder, tmp_path, capfd):
    once = ("--once", "--poll", "0.01", "--runtime", "ort")
    assert run(part, folder.parent, *once) == 2
    assert "watch does not enter subfolders: give one of them" in " ".join(
        capfd.readouterr().err.split()
    )
    assert run(part, folder.parent, *once, "--done", tmp_path / "done") == 0


def test_a_video_is_inspected_to_its_end_in_order(part, tmp_path, capfd):
    video = write_video(
        tmp_path / "greys.avi",
        [(10 * n,) * 3 for n in range(1, 13)],
        (FRAME[1], FRAME[0]),
    )
    assert run(part, video, "--queue", "2") == 0
    said = lines(capfd.readouterr().out)
    assert [line["number"] for line in named(said, "frame")] == list(
        range(1, 13)
    )
    assert len({line["score"] for line in named(said, "frame")}) > 6
    assert run(part, video, "--limit", "3") == 0
    assert len(named(lines(capfd.readouterr().out), "frame")) == 3


def test_a_video_of_another_size_is_stretched_or_ends(part, tmp_path, capfd):
    video = write_video(tmp_path / "small.avi", [(90, 90, 90)] * 4, (64, 48))
    assert run(part, video, "--give-up", "2") == 6
    captured = capfd.readouterr()
    assert [line["event"] for line in lines(captured.out)] == [
        "started",
        "error",
        "error",
        "stopped",
    ]
    assert "2 frames in a row could not be inspected" in captured.err
    assert run(part, video, "--stretch") == 0
    assert len(named(lines(capfd.readouterr().out), "frame")) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.avi"], "a folder, gst:PIPELINE,"),
        (["missing", "--once"], "expected a folder of pictures"),
        (
            [".", "--on-fail", "no-such-program"],
            "expected a program that can be run",
        ),
        (
            ["clip.avi", "--on-fail", "echo {path}"],
            "only a folder's frames have a file",
        ),
        (
            ["clip.avi", "--on-pass", "echo {path}"],
            "only a folder's frames have a file",
        ),
        (
            [".", "--on-error", "sh -c 'echo {reason}'"],
            "got --on-error",
        ),
        ([".", "--fail-safe"], "got --fail-safe without --on-fail"),
        ([".", "--save", "."], "overlays would be inspected"),
        ([".", "--once", "--new"], "expected one of them"),
        (
            ["0", "--once"],
            "expected a folder or gstreamer or stdin: leave --once out",
        ),
        (["0", "--settle", "0"], "expected a folder: leave --settle out"),
        ([".", "--order", "size"], "order"),
        (
            [".", "--retries", "2"],
            "expected a camera or gstreamer or stdin or v4l2: leave --retries out",
        ),
        ([".", "--precision", "int8"], "got precision"),
        ([".", "--queue", "0"], "queue"),
        (["one.png"], "anomedge predict"),
        (["clip.avi"], "finds no frame"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    arguments, said, part, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    for name in ("clip.avi", "one.png"):
        (tmp_path / name).write_bytes(b"nothing")
    assert run(part, *arguments) == 2
    error = capfd.readouterr().err
    assert said in " ".join(error.split())
    assert "Traceback" not in error


def start(*arguments, **options):
    """A real process, and what it says first."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # With a buffer, readline() would take lines away from communicate().
        bufsize=0,
        **options,
    )
    first = process.stdout.readline()
    assert first, process.stderr.read().decode()
    process.started = json.loads(first)
    assert process.started["event"] == "started"
    return process


def end(process, number=signal.SIGTERM):
    """Signal it; its exit code, lines and seconds."""
    begin = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err, err
    return process.returncode, lines(out.decode()), time.monotonic() - begin


def test_another_bundle_copied_over_a_pinned_one_is_said_and_changes_no_verdict(
    bundle_paths, part, folder, tmp_path
):
    root = shutil.copytree(part, tmp_path / "part.anomedge")
    command = [
        sys.executable,
        *COMMAND[3:],
        str(root),
        str(folder),
        "--poll",
        "0.05",
        "--threads",
        "1",
        "--pin",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        before = [json.loads(process.stdout.readline()) for _ in range(4)]
        shutil.copytree(bundle_paths["patchcore"], root, dirs_exist_ok=True)
        after = [json.loads(process.stdout.readline())]
        while (
            after[-1]["event"] != "changed"
            or "another bundle" not in after[-1]["message"]
        ):
            after.append(json.loads(process.stdout.readline()))
        for path in sorted(folder.iterdir()):
            os.utime(path)
        again = [json.loads(process.stdout.readline()) for _ in range(3)]
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[1]
    verdicts = [
        {line["name"]: (line["score"], line["label"]) for line in some}
        for some in (before[1:], again)
    ]
    assert verdicts[0] == verdicts[1]
    assert {line["event"] for line in after} == {"changed"}
    assert after[-1]["name"] == str(root)
    assert f"warning: {after[-1]['message']}" in said.splitlines()
    assert "restart to use the files that are there now" in said


@pytest.mark.skipif(os.name == "nt", reason="no SIGHUP")
def test_a_threshold_set_while_it_runs_is_used_and_a_hang_up_reloads(
    part, folder, tmp_path
):
    root = shutil.copytree(part, tmp_path / "part.anomedge")
    process = start(root, folder, "--settle", "0", "--poll", "0.05")
    before = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert process.started["local"] == str(root / "local.json")
    write_local(Bundle.open(root), LocalSettings(threshold=1e9))
    decision = json.loads(process.stdout.readline())
    assert (decision["event"], decision["threshold"]) == ("decision", 1e9)
    process.send_signal(signal.SIGHUP)
    assert json.loads(process.stdout.readline())["event"] == "reloaded"
    for path in folder.iterdir():
        os.utime(path)
    after = [json.loads(process.stdout.readline()) for _ in range(3)]
    code, _, _ = end(process)
    assert code == 0
    found = [{line["label"] for line in some} for some in (before, after)]
    assert found == [{"anomalous"}, {"normal"}]


def test_sigterm_while_a_folder_is_empty(part, tmp_path):
    code, said, seconds = end(start(part, tmp_path, "--poll", "60"))
    assert (code, said[-1]["event"], said[-1]["frames"]) == (0, "stopped", 0)
    # The loop's part is a tenth of a second; the rest is Python's own end on a busy machine.
    assert seconds < 5


def test_ctrl_c_amid_frames_finishes_the_one_in_hand(part, folder, tmp_path):
    names = tmp_path / "names"
    code = "import sys, time; time.sleep(0.5); open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')"
    command = shlex.join(
        [sys.executable, "-S", "-c", code, str(names), "{name}"]
    )
    process = start(
        part,
        folder,
        "--poll",
        "0.01",
        "--on-fail",
        command,
        "--on-fail-timeout",
        "30",
    )
    first = json.loads(process.stdout.readline())
    code, said, _ = end(process, signal.SIGINT)
    frames = [first, *named(said, "frame")]
    assert code == 0
    assert said[-1]["frames"] == len(frames)
    # What was asked for was run, in order.
    assert names.read_text().split() == [line["name"] for line in frames]


def test_a_second_signal_stops_at_once_and_takes_the_command_along(
    part, folder, tmp_path
):
    code = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"
    command = shlex.join(
        [sys.executable, "-S", "-c", code, str(tmp_path / "pids")]
    )
    process = start(
        part,
        folder,
        "--poll",
        "0.01",
        "--on-fail",
        command,
        "--on-fail-timeout",
        "50",
    )
    while not (tmp_path / "pids").exists() or not (
        tmp_path / "pids"
    ).read_text().endswith("\n"):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None  # it waits for the command
    code, _, seconds = end(process)
    assert code == -signal.SIGTERM
    assert seconds < 5
    assert ended(int((tmp_path / "pids").read_text().split()[0]))


def test_a_folder_that_appears_later_is_watched(part, folder, tmp_path):
    process = start(part, tmp_path / "later", "--settle", "0", "--poll", "0.05")
    assert json.loads(process.stdout.readline())["event"] == "waiting"
    (folder / "notes.txt").write_text("")
    folder.rename(tmp_path / "later")
    assert json.loads(process.stdout.readline())["event"] == "resumed"
    ignored = json.loads(process.stdout.readline())
    assert (ignored["event"], ignored["count"]) == ("ignored", 1)
    for _ in range(3):
        assert json.loads(process.stdout.readline())["event"] == "frame"
    code, said, _ = end(process)
    assert (code, said[-1]["missed"], said[-1]["ignored"]) == (0, 0, 1)


def test_sigterm_while_a_camera_neither_answers_nor_refuses(part):
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(
            part, f"http://me:secret@127.0.0.1:{server.getsockname()[1]}/live"
        )
        with server.accept()[0]:
            code, said, seconds = end(process)
    assert (code, said[-1]["event"]) == (0, "stopped")
    assert seconds < 4


def test_sigterm_while_a_camera_is_waited_for(part):
    process = start(part, "http://127.0.0.1:9/live")
    assert json.loads(process.stdout.readline())["event"] == "waiting"
    code, said, seconds = end(process)
    assert (code, said[-1]["event"]) == (0, "stopped")
    assert seconds < 5


def test_a_reader_that_goes_away_is_one_line_and_exit_5(part, tmp_path):
    """Even while no frame comes."""
    named_runtime = ["--runtime", "onnxruntime"]  # else a line names it
    process = start(
        part, tmp_path, "--poll", "60", "--no-drift", *named_runtime
    )
    process.stdout.close()
    assert process.wait(timeout=60) == 5
    (line,) = process.stderr.read().decode().splitlines()
    assert line.startswith("error: the reader of the output lines went away")
    process.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="a shell's pipe")
def test_a_pipe_to_head_ends_with_the_error_line(part, folder, tmp_path):
    words = [*COMMAND, part, folder, "--poll", "0.01", "--no-drift"]
    words += ["--threads", "1", "--runtime", "onnxruntime"]
    watch = shlex.join(map(str, words))
    code = tmp_path / "code"
    done = subprocess.run(
        ["sh", "-c", f"{{ {watch}; echo $? > {code}; }} | head -1"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads(done.stdout)["event"] == "started"
    assert code.read_text() == "5\n"
    assert len(done.stderr.splitlines()) == 1
    assert "reader of the output lines went away" in done.stderr


def test_a_lost_camera_is_exit_4(part, capfd):
    address = "http://127.0.0.1:9/live"
    assert run(part, address, "--retries", "0") == 4
    captured = capfd.readouterr()
    assert "no frame after 0 attempts" in captured.err
    assert lines(captured.out)[-1]["event"] == "stopped"


def test_undecided_pictures_of_a_folder_are_rejected_until_it_gives_up(
    part, tmp_path, capfd
):
    """30 pictures of the wrong size went on for ever."""
    watched, names = tmp_path / "in", tmp_path / "names"
    watched.mkdir()
    for number in range(30):
        Image.new("RGB", (8, 8)).save(watched / f"{number:02d}.png")
    said = '"$ANOMEDGE_LABEL $ANOMEDGE_REASON"'
    reject = shlex.join(["sh", "-c", f"echo {said} >> {names}"])
    options = ["--poll", "0.01", "--give-up", "4", "--fail-safe"]
    old_name = ["--on-fail-timeout", "30"]
    assert run(part, watched, *options, *old_name, "--on-fail", reject) == 6
    captured = capfd.readouterr()
    assert "4 frames in a row could not be inspected" in captured.err
    last = lines(captured.out)[-1]
    assert (last["frames"], last["undecided"], last["errors"]) == (0, 4, 4)
    calls = names.read_text().splitlines()
    assert len(calls) == 4
    assert all(call.startswith("undecided ") for call in calls)
    assert all("got 8x8" in call for call in calls)


@pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="needs sockets of the file system"
)
def test_a_service_manager_hears_of_start_life_and_end(part, tmp_path):
    watched, address = tmp_path / "in", str(tmp_path / "notify")
    watched.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}
        process = start(part, watched, env=os.environ | variables)
        heard = [manager.recv(100) for _ in range(3)]
        code, said, _ = end(process)
        while heard[-1] == b"WATCHDOG=1":
            heard.append(manager.recv(100))
    assert heard[:3] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert heard[-1] == b"STOPPING=1"
    assert (code, said[-1]["event"]) == (0, "stopped")


def test_pictures_that_arrive_are_inspected(part, folder, tmp_path):
    watched = tmp_path / "watched"
    watched.mkdir()
    process = start(part, watched, "--poll", "0.02")
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        half = (folder / name).read_bytes()
        with (watched / f".{name}.part").open("wb") as file:
            file.write(half)
        os.rename(watched / f".{name}.part", watched / name)
        line = json.loads(process.stdout.readline())
        assert (line["event"], line["name"]) == ("frame", name)
    code, said, _ = end(process)
    assert (code, said[-1]["frames"]) == (0, 3)


class MotionJpeg(BaseHTTPRequestHandler):
    """A network camera that breaks off after three frames, each time it is asked."""

    picture = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header(
            "Content-Type", "multipart/x-mixed-replace; boundary=frame"
        )
        self.end_headers()
        for _ in range(3):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.picture)}\r\n\r\n"
            self.wfile.write(head.encode() + self.picture + b"\r\n")
        self.wfile.write(b"--frame--\r\n")

    def log_message(self, *_):
        pass


def test_a_network_camera_that_breaks_off_is_reopened(part, folder):
    """As a program of its own: a thread may be left inside OpenCV, and what becomes of it there is not ours to say."""
    encoded = BytesIO()
    Image.fromarray(read_picture(next(iter(list_pictures(folder))))).save(
        encoded, format="JPEG"
    )
    MotionJpeg.picture = encoded.getvalue()
    with ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        address = f"http://me:secret@127.0.0.1:{server.server_address[1]}/live"
        try:
            arguments = [
                part,
                address,
                "--limit",
                "4",
                "--queue",
                "64",
                "--threads",
                "1",
            ]
            done = subprocess.run(
                [*COMMAND, *map(str, arguments)],
                capture_output=True,
                text=True,
                timeout=120,
            )
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 0, done
    said = lines(done.stdout)
    assert len(named(said, "frame")) == 4
    events = [line["event"] for line in said]
    assert "waiting" in events[2:]
    assert events.index("resumed") > events.index("waiting")
    assert said[-1]["errors"] == 0
    assert "secret" not in done.stdout


def test_nothing_of_opencv_is_imported_for_a_folder(part, folder):
    code = (
        "import sys\nfrom anomedge.__main__ import run_command\n"
        f"assert run_command('watch', [{str(part)!r}, {str(folder)!r}, '--once', '--poll', '0.01']) == 0\n"
        "assert not {'cv2', 'torch', 'onnx'} & set(sys.modules), set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_other_light_is_a_drift_and_normal_frames_are_collected(
    part, folder, tmp_path, capfd
):
    copy = tmp_path / "part.anomedge"
    shutil.copytree(part, copy)
    write_local(Bundle.open(copy), LocalSettings(threshold=1e9))
    good = read_picture(next(folder.iterdir()))
    watched, kept = tmp_path / "frames", tmp_path / "kept"
    watched.mkdir()
    for number in range(32):
        light = good if number < 16 else good // 2
        Image.fromarray(light).save(watched / f"{number:02}.png")
    arguments = [copy, watched, "--once", "--order", "name", "--poll", "0.01"]
    arguments += ["--drift-window", "16", "--collect", "3"]
    assert run(*arguments) == 2
    assert "expected both" in capfd.readouterr().err
    assert run(*arguments, "--collect-to", kept) == 0
    captured = capfd.readouterr()
    assert "measured against this station's first 16" in captured.err
    drifts = named(lines(captured.out), "drift")
    assert {line["state"] for line in drifts} == {"begun"}
    (light,) = [line for line in drifts if line["name"] == "brightness"]
    assert light["number"] <= 32
    assert light["compared_with"] == "first 16 normal frames"
    assert len(list_pictures(kept)) == 3
    assert run(*arguments, "--collect-to", kept, "--no-drift") == 0
    assert named(lines(capfd.readouterr().out), "drift") == []
