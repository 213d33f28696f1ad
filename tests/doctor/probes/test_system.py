"""A Jetson by its release files, and a machine that is none."""

import pytest

from anomedge.doctor.probes.system import System, jetpack
from tests.doctor.fakes import look


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 1", "JetPack 6, Jetson Linux 36.4.3"),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "JetPack 7, Jetson Linux 38.2.0"),
        ("# R99 (release), REVISION: 1.0", "unknown JetPack, Jetson Linux 99.1.0"),
        ("something else", "something else"),
    ],
)  # fmt: skip
def test_jetpack_by_the_release_line(line, expected):
    assert jetpack(line) == expected


def test_a_jetson_and_another_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(System, "root", tmp_path)
    assert look(System)["JetPack"].state == "absent"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(
        "# R36 (release), REVISION: 4.0\n"
    )
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Jetson Orin Nano\0")
    found = look(System)
    assert found["JetPack"].value == "JetPack 6, Jetson Linux 36.4.0"
    assert found["board"].value == "Jetson Orin Nano"
