"""The robustness scripts, in small: they find no violation, and detect planted ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPTS = Path(__file__).parent.parent / "scripts"


def run(name, *arguments):
    done = subprocess.run(
        [sys.executable, SCRIPTS / name, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_mutated_bundles_work_or_are_refused(bundle_paths):
    code, out, err = run(
        "fuzz-bundles", "--count", 198, "--bundle", bundle_paths["patchcore"]
    )
    assert code == 0, out + err
    assert "198 trials" in out
    rows = re.findall(
        r"^\| ([a-zA-Z:. ]+) \| (\d+) \|", out, flags=re.MULTILINE
    )
    assert sum(int(count) for _, count in rows) == 198
    assert len(rows) == 33


@pytest.mark.slow
def test_mutated_checkpoints_are_read_or_refused():
    code, out, err = run("fuzz-checkpoints", "--trials", 220)
    assert code == 0, out + err
    assert "220 trials" in out
    rows = re.findall(r"^\| [a-z: ]+ \| (\d+) \|", out, flags=re.MULTILINE)
    assert [int(count) for count in rows] == [20] * 11


FAULTS = {
    "code: exec": "exec('1')",
    "code: os.system": "import os; os.system('true')",
    "touched: open for writing": "open('written', 'w').close()",
    "ZeroDivisionError": "1 / 0",
    "message": "raise ModelError('without a path')",
    "memory": "bytearray(200 << 20)",
    "slow": "import time; time.sleep(0.6)",
}


@pytest.mark.slow
def test_the_checkpoint_fuzzer_detects_faults(tmp_path):
    """In a process of its own, because audit hooks stay."""
    (tmp_path / "file.ckpt").write_bytes(b"no checkpoint")
    code = """
import sys
from pathlib import Path
import _checkpoint_trial
from _watch import begin_peak
from anomedge.errors import ModelError
path = Path(sys.argv[1])
for source in sys.argv[2:]:
    fault = compile(source, "fault", "exec")
    _checkpoint_trial._read = lambda path: exec(fault)
    _checkpoint_trial._release()
    found = _checkpoint_trial.read_watched(path, 0.5, begin_peak())
    print(*found.violations, sep="; ")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "file.ckpt", *FAULTS.values()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{SCRIPTS}:{SCRIPTS.parent}"},
    )
    assert done.returncode == 0, done.stderr
    for said, line in zip(FAULTS, done.stdout.splitlines(), strict=True):
        assert said in line


@pytest.mark.slow
def test_one_session_gives_the_same_bits_to_all_threads(bundle_paths, runtime):
    code, out, err = run(
        "soak",
        "--inferences",
        400,
        "--bundle",
        bundle_paths["patchcore"],
        "--runtime",
        runtime,
    )
    assert code == 0, out + err
    assert f"| {runtime} | 400 | 0 |" in out


@pytest.mark.slow
def test_killed_runs_leave_nothing_half_written():
    code, out, err = run("kill-test", "--trials", 18, "--contend", 2)
    assert code == 0, out + err
    assert "18 trials" in out
    rows = re.findall(r"^\| ([a-z -]+) \| (any|last) ", out, flags=re.MULTILINE)
    names = {
        "export",
        "fit",
        "threshold",
        "threshold --reset",
        "verify",
        "predict",
        "predict --format json",
        "report",
        "watch",
    }
    assert {name for name, _ in rows} == names
    assert re.search(r"a reader: 0 refused of [1-9]", out)


@pytest.mark.parametrize(
    ("job", "files", "said"),
    [
        (
            "Predict",
            {"out/results.csv": "picture,label\na.png,norm"},
            "the last line is not whole",
        ),
        (
            "Predict",
            {"out/results.csv": "picture,label\na.png\n"},
            "a row is not whole",
        ),
        (
            "Predict",
            {"out/results.csv": "picture,label\nother.png,normal\n"},
            "expected the first of",
        ),
        (
            "Predict",
            {"out/overlays/a.png": "PNG"},
            "no results, but 1 overlays",
        ),
        (
            "Predict",
            {"out/results.csv": "picture,label\n", "out/overlays/a.png": "PNG"},
            "overlays without results",
        ),
        (
            "Predict",
            {
                "out/results.csv": "picture,label\na.png,normal\n",
                "out/overlays/a.png": "half",
            },
            "not whole",
        ),
        (
            "PredictJson",
            {"out/results.json": '[{"picture": "a.png"}'},
            "results.json is not whole",
        ),
        (
            "Report",
            {"report.html": "<html>half"},
            "neither the old nor the new one",
        ),
        (
            "Watch",
            {"lines": '{"event": "started"}\n{"event"'},
            "the last line is not whole",
        ),
        ("Watch", {"out/1.png": "half"}, "1.png is not whole"),
        (
            "Watch",
            {f"out/{number}.png": "PNG" for number in range(4)},
            "got 4 overlays; expected at most 3",
        ),
    ],
)
def test_the_kill_test_detects_partial_output(
    tmp_path, monkeypatch, job, files, said
):
    """The checks of the kill test refuse incomplete output."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import _kill_jobs

    made = _kill_jobs.Materials(tmp_path / "made")
    picture = made.pictures / "test" / "a.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(picture)
    folder = tmp_path / "folder"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(
            picture.read_bytes() if content == "PNG" else content.encode()
        )
    with pytest.raises(_kill_jobs.InvalidState, match=re.escape(said)):
        getattr(_kill_jobs, job)(made).found(folder, False)


def test_complete_output_is_accepted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import _kill_jobs

    made = _kill_jobs.Materials(tmp_path / "made")
    (made.pictures / "test").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(made.pictures / "test" / "a.png")
    Image.new("RGB", (8, 8)).save(made.pictures / "test" / "b.png")
    (tmp_path / "out").mkdir()
    predict = _kill_jobs.Predict(made)
    assert predict.found(tmp_path, False) == "none"
    (tmp_path / "out" / "results.csv").write_text(
        "picture,label\na.png,normal\n"
    )
    assert predict.found(tmp_path, False) == "part"
    (tmp_path / "out" / "results.csv").write_text(
        "picture,label\na.png,normal\nb.png,normal\n"
    )
    assert predict.found(tmp_path, True) == "new"


def test_a_fork_is_killed_at_the_requested_moment(tmp_path, monkeypatch):
    """In a process of its own: the fork needs one thread."""
    code = """
import os, sys
from pathlib import Path
from _kill import Kill, has_strace, in_a_fork, seen_calls
folder = Path(sys.argv[1])
def run():
    for number in range(5):
        (folder / "new").write_text("x")
        os.rename(folder / "new", folder / str(number))
def left(kill):
    for path in folder.iterdir():
        path.unlink()
    return in_a_fork(run, kill), len(list(folder.glob("[0-9]")))
assert left(None) == (0, 5)
assert left(Kill(change=6)) == (9, 2)
assert left(Kill(delay=60)) == (0, 5)
if has_strace():
    assert seen_calls(run)["rename"] == 5
    assert left(Kill(call="rename", count=6)) == (0, 5)
    status, renamed = left(Kill(call="rename", count=3))
    assert status == 9 and renamed in (2, 3)
"""
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_file_access_is_detected(tmp_path, monkeypatch):
    """The fuzzer detects forbidden file access."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import _watch

    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.write_text("secret")
    (inside / "own").write_text("own")
    (inside / "link").symlink_to(outside)
    watch, before = _watch.FileWatch([outside]), _watch.snapshot(tmp_path)
    with _watch.audited(inside) as touched:
        (inside / "own").read_text()
    assert (touched, watch.opened(), _watch.snapshot(tmp_path)) == (
        [],
        [],
        before,
    )
    with _watch.audited(inside) as touched:
        (inside / "link").read_text()
        (inside / "own").write_text("changed")
        (inside / "new").mkdir()
    assert [what.split()[0] for what in touched] == ["open", "open", "os.mkdir"]
    assert str(outside) in touched[0]
    assert watch.opened() == [str(outside)]
    assert _watch.snapshot(tmp_path).keys() - before.keys() == {
        str(inside / "new")
    }


def test_removing_a_mutated_copy_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from _fuzz_trial import remove

    copy, outside = tmp_path / "copy", tmp_path / "outside"
    (copy / "closed").mkdir(parents=True)
    outside.mkdir(0o755)
    (outside / "file").write_text("kept")
    (copy / "link").symlink_to(outside)
    (copy / "closed").chmod(0)
    mode = outside.stat().st_mode
    remove(copy)
    assert not copy.exists()
    assert (outside / "file").read_text() == "kept"
    assert outside.stat().st_mode == mode


@pytest.mark.slow
def test_a_station_that_is_killed_signals_every_part(bundle_paths):
    code, out, err = run(
        "soak-station",
        "--frames",
        600,
        "--kills",
        4,
        "--bundle",
        bundle_paths["patchcore"],
    )
    assert code == 0, out + err
    assert "600 parts" in out
    assert "\n0 violations" in out
    kills = re.search(r"kills: (\d+)", out)
    assert int(kills[1]) >= 3


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ("a1 b2 c3", None),
        ("a1 b2 b2* c3", None),
        ("a1 b2 c3 c4", "c (4) was signalled too often"),
        ("a1 b2 b2 c3", "b (2) came again, unmarked"),
        ("a1 b2* b2* c3*", "3 marked repeats; expected at most 2"),
        ("a1 c3", "b was not signalled"),
        ("b1 a2 c3", "a came after a later part"),
        ("a1 b2 c3!", "c is anomalous, not normal"),
    ],
)
def test_the_soak_of_a_station_detects_faults(got, said, monkeypatch):
    """The events of an output: name, identifier, repeated (*), anomalous (!)."""
    monkeypatch.syspath_prepend(SCRIPTS)
    from _soak_checks import Output, Part, check

    events = [
        {
            "name": text[0],
            "id": text[1],
            "label": "anomalous" if "!" in text else "normal",
            "repeated": "*" in text,
        }
        for text in got.split()
    ]
    parts = [Part(name, "normal") for name in "abc"]
    output = Output("lines", frozenset(["normal"]), events, allowed=2)
    found = check(parts, output)
    assert found == ([] if said is None else [f"lines: {said}"])


def test_the_soak_compares_an_output_with_the_parts_that_it_gets(monkeypatch):
    """A name that was overwritten: the output for defects gets its second version alone."""
    monkeypatch.syspath_prepend(SCRIPTS)
    from _soak_checks import Output, Part, check

    parts = [
        Part("a", "normal"),
        Part("b", "anomalous"),
        Part("a", "anomalous"),
    ]
    events = [
        {"name": name, "id": str(number), "label": "anomalous"}
        for number, name in enumerate("ba")
    ]
    output = Output("commands", frozenset(["anomalous"]), events, allowed=0)
    assert check(parts, output) == []
    assert check(parts, output._replace(events=events[::-1])) == [
        "commands: b came after a later part"
    ]
