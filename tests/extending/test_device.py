"""A device budget from a temporary file: `anomedge inspect --device` applies it, with no other file edited."""

import json

from anomedge.__main__ import run_command
from anomedge.budget import available, load


def inspect(model, device):
    return run_command(
        "inspect",
        [str(model), "--device", str(device), "--frame", "96x128", "--json"],
    )


def test_inspect_applies_a_device_file(model_paths, tmp_path, capsys):
    device = json.loads(load("intel-n100").model_dump_json())
    device["title"] = "The box under the belt"
    device["bandwidth"]["value"] /= 4
    path = tmp_path / "box.json"
    path.write_text(json.dumps(device))
    assert "box" not in available()
    assert inspect(model_paths["padim"], path) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["device"]["title"] == "The box under the belt"
    expected = device["bandwidth"]["value"]
    assert content["device"]["bandwidth"]["value"] == expected
