"""The result of an import: where every value came from, and the model."""

import json
from pathlib import Path
from types import SimpleNamespace

from anomedge.commands._import_result import print_import
from anomedge.interop.anomalib import Taken
from tests.parity.examples import DECISION


def printed(capsys, as_json=False, **left_out):
    origin = DECISION.origin.model_copy(
        update={"rule": "imported", "imported_from": "part.ckpt"}
    )
    model = SimpleNamespace(
        decision=DECISION.model_copy(update={"origin": origin}),
        pipeline=SimpleNamespace(name="padim", describe=lambda: "padim on x"),
        card=SimpleNamespace(
            imported="d" * 64, imported_beside={}, weights="part\x1b.ckpt"
        ),
    )
    taken = Taken()
    taken.add("detector", "padim", "file")
    taken.add("size", "64x64\x1b[2J", "option")
    imported = SimpleNamespace(model=model, taken=taken, left_out=left_out)
    print_import(imported, Path("m.safetensors"), as_json)
    return capsys.readouterr().out


def test_every_value_has_its_source_and_the_model_comes_last(capsys):
    lines = printed(capsys, masks=2).splitlines()
    assert lines[0] == "detector: padim (from the file)"
    assert "64x64\\x1b[2J" in lines[1]
    assert lines[2] == "left out: 2 masks"
    assert lines[3] == (
        "m.safetensors: padim on x, part\\x1b.ckpt; threshold 40, imported from part.ckpt; scale 10"
    )


def test_json_holds_the_lines_as_values(capsys):
    content = json.loads(printed(capsys, as_json=True))
    assert content["detector"] == "padim"
    assert content["sha256"] == "d" * 64
    assert content["threshold"] == 40
    assert content["left_out"] == {}
    assert content["taken"][0] == {
        "what": "detector",
        "value": "padim",
        "source": "file",
    }
