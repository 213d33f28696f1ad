"""Placeholders of --on-fail are refused where a file's name would become program text."""

import shlex

import pytest

from anomedge.errors import InputError
from anomedge.station.placeholders import split_command

UNSAFE = [
    "sh -c 'echo got {name}'",
    "sh -c {path}",
    "sh -ec echo{name}",
    "sh -c -e {name}",
    "bash -lc +x {name}",
    "env A=1 nohup sh -c 'rm {path}'",
    "busybox sh -c 'echo {name}'",
    "perl -e print({name})",
    "env -S {name}",
    "ssh station eject {name}",
    "cmd /c echo {name}",
    "powershell -Command echo {name}",
    "pwsh.exe -c eject {name}",
    "eject.bat {name}",
    "echo 'x;{name}'",
    "echo '{name} {path}'",
    "echo '$({name})'",
    "echo '`{name}`'",
]


@pytest.mark.parametrize("command", UNSAFE)
def test_a_placeholder_within_program_text_is_refused(command, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    with pytest.raises(
        InputError, match=r"""program text .* sh -c 'echo "\$ANOMEDGE_NAME"'$"""
    ):
        split_command(command)


SAFE = [
    "eject {name}",
    "eject --frame={name} {path} {score}",
    "sh -c 'rm \"$1\"' sh {path}",
    "sh -c 'echo {score}'",
    "sh -c 'echo \"$ANOMEDGE_NAME\"'",
    "cp {path} /kept/{name}",
    "eject -s {name}",
    "eject -name {name}",
]


@pytest.mark.parametrize("command", SAFE)
def test_a_placeholder_as_an_argument_is_kept(command, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert split_command(command) == shlex.split(command)
