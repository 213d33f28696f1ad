"""The scripts that try to break anomedge, in small: each finds nothing, and would find what is planted."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


def run(name, *arguments):
    done = subprocess.run([sys.executable, SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_spoilt_bundles_work_or_are_refused(bundle_paths):
    code, out, err = run("fuzz-bundles", "--count", 162, "--bundle", bundle_paths["patchcore"])
    assert code == 0, out + err
    assert "162 trials" in out
    rows = re.findall(r"^\| ([a-zA-Z:. ]+) \| (\d+) \|", out, flags=re.MULTILINE)
    assert sum(int(count) for _, count in rows) == 162
    assert len(rows) == 27


@pytest.mark.slow
def test_one_session_gives_the_same_bits_to_all_threads(bundle_paths, runtime):
    code, out, err = run("soak", "--inferences", 400, "--bundle", bundle_paths["patchcore"], "--runtime", runtime)
    assert code == 0, out + err
    assert f"| {runtime} | 400 | 0 |" in out


@pytest.mark.slow
def test_killed_runs_leave_nothing_half_written():
    code, out, err = run("kill-test", "--trials", 4)
    assert code == 0, out + err
    assert "4 trials" in out


def test_the_watch_sees_what_it_should(tmp_path, monkeypatch):
    """A fuzzer that sees nothing finds nothing."""
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
    assert (touched, watch.opened(), _watch.snapshot(tmp_path)) == ([], [], before)
    with _watch.audited(inside) as touched:
        (inside / "link").read_text()
        (inside / "own").write_text("changed")
        (inside / "new").mkdir()
    assert [what.split()[0] for what in touched] == ["open", "open", "os.mkdir"]
    assert str(outside) in touched[0]
    assert watch.opened() == [str(outside)]
    assert _watch.snapshot(tmp_path).keys() - before.keys() == {str(inside / "new")}


def test_removing_a_spoilt_copy_follows_no_link(tmp_path, monkeypatch):
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
