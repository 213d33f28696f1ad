"""Probes are found by their directory, and each states name, title and order."""

import pytest

from anomedge.doctor import PROBES
from anomedge.doctor.base import Finding, Probe


def test_every_probe_has_a_title_and_a_place():
    members = PROBES.members()
    assert {"system", "tensorrt", "openvino", "onnxruntime"} <= set(members)
    titles = [each.title for each in members.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_a_probe_must_look():
    with pytest.raises(TypeError):
        Probe()
    assert Finding("a", "b").state == "present"
