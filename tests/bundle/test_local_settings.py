"""A bundle opens at any moment: while processes write to it, and after they were killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from anomedge.bundle import Bundle, LocalSettings, remove_local, write_local
from anomedge.errors import (
    AnomedgeError,
    BundleError,
    IntegrityError,
    SchemaError,
)
from anomedge.files import atomic_directory, atomic_file
from anomedge.parity.stored import stored_certificates

LEFT = ".local.json.a1b2c3_d.tmp"
SECONDS = 1.5


def write(root, threshold):
    return write_local(
        Bundle(root, Bundle.open(root).manifest),
        LocalSettings(threshold=threshold),
    )


def repeated(action, end, failures):
    """Repeat an action until the end, and keep what it raises; at least ten times, so that the test cannot be empty."""
    count = 0
    while time.monotonic() < end or count < 10:
        try:
            action(count)
        except AnomedgeError as error:
            failures.append(str(error))
        count += 1


def side_by_side(*actions):
    """Run actions for a while, each in a thread; returns what they raised."""
    failures, end = [], time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=repeated, args=(action, end, failures))
        for action in actions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_bundle_opens_after_a_kill_in_threshold(copy, call):
    write(copy, 1.0)
    code = f"""
import os, pathlib, signal, sys
from anomedge.bundle import Bundle, LocalSettings, write_local
opened = Bundle.open(sys.argv[1])
os.{call} = pathlib.os.{call} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
write_local(opened, LocalSettings(threshold=2.0))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, copy], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = [
        path for path in copy.iterdir() if path.name.startswith(".local.json.")
    ]
    assert len(left) == 1
    assert Bundle.open(copy).decision.threshold == 1.0
    os.utime(left[0], (0, 0))
    write(copy, 3.0)
    assert Bundle.open(copy).decision.threshold == 3.0
    assert not left[0].exists()


def test_leftovers_are_swept_by_reset_as_well(copy):
    (copy / LEFT).write_text("{")
    os.utime(copy / LEFT, (0, 0))
    remove_local(Bundle.open(copy))
    assert not (copy / LEFT).exists()


def test_a_pipe_of_a_leftovers_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / ".file.a1b2c3_d.tmp")
    os.utime(tmp_path / ".file.a1b2c3_d.tmp", (0, 0))
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "file").read_text() == "whole"


@pytest.mark.parametrize(
    "name",
    [
        ".local.json.a1b2c3d.tmp", ".local.json.a1b2c3dez.tmp", ".local.json.A1B2C3_D.tmp", ".local.json.a1b2c3_d.tmp.so",
        ".local.json.a1b2c3_d.old", "local.json.a1b2c3_d.tmp", ".model.onnx.a1b2c3_d.tmp", ".hidden", f"golden/{LEFT}",
    ],
)  # fmt: skip
def test_only_a_temporary_of_ours_is_ignored(copy, name):
    (copy / name).write_text("{")
    with pytest.raises(IntegrityError, match="not in its manifest"):
        Bundle.open(copy)


def test_what_has_a_temporarys_name_but_is_no_file_is_refused(copy):
    (copy / LEFT).symlink_to("model.onnx")
    with pytest.raises(IntegrityError, match="link"):
        Bundle.open(copy)
    (copy / LEFT).unlink()
    os.mkfifo(copy / LEFT)
    with pytest.raises(IntegrityError, match="pipe"):
        Bundle.open(copy)
    (copy / LEFT).unlink()
    (copy / LEFT).mkdir()
    (copy / LEFT / "plugin.so").write_text("")
    with pytest.raises(IntegrityError, match="not in its manifest"):
        Bundle.open(copy)


def test_readers_see_the_old_or_the_new_decision_while_two_write(copy):
    opened = write(copy, 1.0)

    def read(_):
        threshold = Bundle.open(copy).decision.threshold
        assert threshold in {1.0, 2.0}

    writers = [
        lambda _, value=value: write_local(
            Bundle.open(copy), LocalSettings(threshold=value)
        )
        for value in (1.0, 2.0)
    ]
    assert side_by_side(read, *writers) == []
    assert not [name for name in os.listdir(copy) if name.endswith(".tmp")]
    assert Bundle.open(copy).manifest == opened.manifest


def test_readers_see_a_decision_while_it_is_set_and_reset(copy):
    manifest = Bundle.open(copy).manifest

    def set_or_reset(number):
        bundle = Bundle(copy, manifest)
        write_local(
            bundle, LocalSettings(threshold=1.0)
        ) if number % 2 else remove_local(bundle)

    def read(_):
        threshold = Bundle(copy, manifest).decision.threshold
        assert threshold in {1.0, manifest.decision.threshold}

    assert side_by_side(read, read, set_or_reset) == []


def test_readers_see_the_old_or_the_new_bundle_while_it_is_replaced(
    bundle_paths, tmp_path
):
    target = tmp_path / "part.anomedge"
    digests = {
        name: Bundle.open(path).manifest.digest
        for name, path in bundle_paths.items()
    }
    replaced = []

    def replace(number):
        name = sorted(bundle_paths)[number % 2]
        with atomic_directory(target, force=True) as folder:
            shutil.copytree(bundle_paths[name], folder, dirs_exist_ok=True)
        replaced.append(name)
        time.sleep(
            0.05
        )  # an export takes seconds; a bundle that changes faster than it is read is refused

    def read(_):
        assert Bundle.open(target).manifest.digest in digests.values()

    replace(0)
    assert side_by_side(read, read, replace) == []
    assert len(replaced) > 5


def test_a_changed_bundle_that_nobody_replaced_is_still_refused(copy):
    (copy / "model.onnx").write_bytes(
        b"x" * (copy / "model.onnx").stat().st_size
    )
    with pytest.raises(IntegrityError, match="was changed"):
        Bundle.open(copy)


def test_certificates_are_read_while_they_are_written_and_removed(copy):
    manifest = Bundle.open(copy).manifest
    content = (copy / "certificates" / "host.json").read_bytes()
    line = copy / "certificates" / "line7.json"
    objections = []

    def read(_):
        objections.extend(
            stored.objection
            for stored in stored_certificates(Bundle(copy, manifest))
            if stored.objection
        )

    def write_or_remove(number):
        if number % 2:
            line.unlink(missing_ok=True)
        else:
            with atomic_file(line, force=True) as temporary:
                temporary.write_bytes(content)

    assert side_by_side(read, read, write_or_remove) == []
    assert objections == []


def test_local_settings_state_their_bundle(copy):
    (copy / "local.json").write_text('{"threshold": 1.5}')
    with pytest.raises(
        SchemaError,
        match=r"does not state the digest .* --reset`, then set the threshold with --set",
    ):
        _ = Bundle.open(copy).decision
    remove_local(Bundle.open(copy))
    assert Bundle.open(copy).local is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"threshold": true}', "threshold: "),
        ('{"threshold": "0.9"}', "threshold: "),
        ('{"threshold": "inf"}', "threshold: "),
        ('{"pixel_threshold": false}', "pixel_threshold: "),
        ('{"count": 1.0}', "count: "),
        ('{"threshold": 1, "threshold": 1000}', "the key 'threshold' twice"),
        ('{"threshold": NaN}', "threshold: got a number that is not finite"),
        ('{"by": "\\ud800"}', "by: got a lone surrogate"),
        ('{"alarms": 9, "count": 2}', "at most as many alarms as pictures"),
        ('{"alarms": 9}', "at most as many alarms as pictures"),
        ('{"interval": [0.5, 0.3]}', "an interval of rates"),
        ('{"interval": [0.5, 3]}', "an interval of rates"),
    ],
)
def test_local_settings_are_read_strictly(copy, text, match):
    digest = Bundle.open(copy).manifest.digest
    (copy / "local.json").write_text(f'{text[:-1]}, "bundle": "{digest}"}}')
    with pytest.raises(SchemaError, match=match):
        _ = Bundle.open(copy).decision


def test_local_settings_that_cannot_be_read_are_named(copy, monkeypatch):
    write(copy, 1.0)
    opened = Bundle.open(copy)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        "anomedge.files.strict_json.open", refuse, raising=False
    )
    with pytest.raises(
        BundleError, match=r"local\.json cannot be read \(Permission denied\)"
    ):
        _ = opened.decision


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (
            '"schema_version": 1',
            '"schema_version": 1, "schema_version": 1',
            "the key 'schema_version' twice",
        ),
        (
            '"schema_version": 1',
            '"schema_version": true',
            "schema version True",
        ),
        (
            '"schema_version": 1',
            '"schema_version": 1.0',
            r"schema version 1\.0",
        ),
        (
            '"detector": "padim"',
            '"detector": "\\udcff"',
            "detector: got a lone surrogate",
        ),
        ('"opset": 17', '"opset": "17"', "opset: "),
        ('"opset": 17', '"opset": true', "opset: "),
        (
            '"opset": 17',
            '"opset": 1e999',
            "opset: got a number that is not finite",
        ),
    ],
)
def test_manifests_are_read_strictly(copy, old, new, match):
    text = (copy / "manifest.json").read_text()
    assert old in text
    (copy / "manifest.json").write_text(text.replace(old, new))
    with pytest.raises(SchemaError, match=match):
        Bundle.open(copy)


def test_settings_from_a_folder_whose_name_is_not_utf_8_are_kept(copy):
    write_local(
        Bundle.open(copy),
        LocalSettings(threshold=1.0, pictures=os.fsdecode(b"normal-\xff")),
    )
    local = Bundle.open(copy).local
    assert local.pictures == "normal-\\udcff"
    assert (
        json.loads((copy / "local.json").read_bytes())["bundle"]
        == Bundle.open(copy).manifest.digest
    )
