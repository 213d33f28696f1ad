"""Rows of `anomedge inspect`: detectors and tensors."""

import io

import pytest

from anomedge.commands import _bundle_tables as tables
from anomedge.commands._console import SafeConsole


def printed(table):
    console = SafeConsole(width=120)
    console.file = io.StringIO()
    console.print(table)
    return " ".join(console.file.getvalue().split())


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"backbone": "resnet18"}, "padim on resnet18"),
        ({"description": "Dfkde"}, "padim Dfkde"),
        ({}, "padim"),
    ],
)
def test_a_detector_is_named_with_its_backbone_or_module(config, shown):
    assert tables._detector("padim", config) == shown


def test_tensors_of_a_network_share_a_row():
    names = ("module.net.a", "module.net.b.c", "module.other", "mean")
    found = [
        {"name": name, "shape": [2], "dtype": "float32", "bytes": 8}
        for name in names
    ]
    said = printed(tables.tensors(found, ["module.net"]))
    assert "module.net (2 tensors) 16 B" in said
    assert "module.other 2 float32 8 B" in said
    assert "module.net.a" not in said
