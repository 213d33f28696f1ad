"""Device files with their kernel driver; one that may not be opened names the group."""

import os

from anomedge.doctor.probes import graphics
from anomedge.doctor.probes.graphics import Graphics
from tests.doctor.fakes import look


def test_device_files(monkeypatch, tmp_path):
    monkeypatch.setattr(Graphics, "root", tmp_path)
    assert look(Graphics)["device files"].state == "absent"
    for name in ("dri/renderD128", "accel/accel0"):
        (tmp_path / "dev" / name).parent.mkdir(parents=True)
        (tmp_path / "dev" / name).touch()
    device = tmp_path / "sys/class/drm/renderD128/device"
    device.mkdir(parents=True)
    (tmp_path / "drivers/xe").mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / "drivers/xe")
    found = look(Graphics)
    assert found["renderD128"].value == "kernel driver xe, may be opened"
    assert "kernel driver unknown" in found["accel0"].value
    monkeypatch.setattr(graphics.os, "access", lambda path, mode: False)
    found = look(Graphics)["renderD128"]
    assert found.state == "broken"
    assert "usermod -aG render" in found.value


def test_membership_of_the_group(monkeypatch):
    grp = __import__("grp")
    group = type("Group", (), {"gr_gid": 4242})()
    monkeypatch.setattr(grp, "getgrnam", lambda name: group)
    assert look(Graphics)["group render"].state == "absent"
    monkeypatch.setattr(os, "getgroups", lambda: [4242])
    assert look(Graphics)["group render"].state == "present"
