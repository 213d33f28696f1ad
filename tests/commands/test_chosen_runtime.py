"""Commands name the runtime that they chose, on standard error, and record it in JSON."""

import json

from anomedge.commands._chosen_runtime import chosen, print_choice
from anomedge.runtimes import Choice
from tests.commands.running import run


class Opened:
    name = "openvino"
    choice = None


def test_a_named_runtime_is_not_printed(capsys):
    print_choice(Opened())
    assert capsys.readouterr().err == ""
    assert chosen(Opened(), "gpu") == {"runtime": "openvino", "device": "gpu"}


def test_a_chosen_runtime_is_printed_and_kept_for_the_next_bundle(capsys):
    opened = Opened()
    opened.choice = Choice("openvino", "cpu", "a reason")
    print_choice(opened)
    assert "runtime: openvino on cpu (a reason)" in capsys.readouterr().err
    assert chosen(opened, None) == {"runtime": "openvino", "device": "cpu"}


def test_predict_names_and_records_it(bundle_paths, pictures, capsys):
    picture = next((pictures / "test" / "good").glob("*.png"))
    assert run("predict", bundle_paths["padim"], picture, "--json") == 0
    printed = capsys.readouterr()
    assert [row["runtime"] for row in json.loads(printed.out)] == [
        "onnxruntime"
    ]
    assert "runtime: onnxruntime" in printed.err
    assert "openvino" in printed.err
    given = ("--runtime", "ov")
    assert run("predict", bundle_paths["padim"], picture, *given) == 0
    assert "runtime:" not in capsys.readouterr().err
