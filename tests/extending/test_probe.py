"""A probe of an installed distribution is looked at by `anomedge doctor`, in a process of its own."""

from anomedge.doctor import PROBES
from anomedge.doctor.processes import ask
from tests.extending.distribution import environment_with, install_distribution

CODE = '''
from anomedge.doctor import Finding, Probe

class Cameras(Probe):
    """Video devices."""

    name = "cameras"
    title = "cameras"

    @classmethod
    def look(cls):
        yield Finding("video0", "a video device")
'''


def test_a_probe_from_a_distribution(tmp_path, monkeypatch):
    install_distribution(
        tmp_path,
        "anomedge_cameras",
        CODE,
        {"anomedge.probes": "cameras = anomedge_cameras:Cameras"},
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "cameras" in PROBES.members()
    path = environment_with(tmp_path)["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", path)
    answer = ask(["probe", "cameras"], 60)
    assert answer.lines[0]["doctor"]["title"] == "video0"
