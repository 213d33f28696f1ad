"""The verb inspect: of a bundle, and of a model."""

import json

from anomedge.commands._threshold_lines import contract_line
from anomedge.parity.carried_contracts import CarriedContracts
from tests.commands.running import run


def test_inspect_a_bundle(copy, capsys):
    (copy / "certificates" / "foreign.json").write_text("[1]")
    assert run("inspect", copy, "--graph") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "uint8 (dynamic, 96, 128, 3) RGB",
        "patchcore on test_efficientnet",
        "host.json eager torch",
        "ignored: not a certificate",
    ):
        assert part in shown
    assert run("inspect", copy, "--graph", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    stages = content["stages"]["fp32"]
    assert [stage["name"] for stage in stages] == content["manifest"]["stages"]
    import onnx

    graph = onnx.load(copy / "model.onnx").graph
    assert sum(sum(stage["operators"].values()) for stage in stages) == len(
        graph.node
    )
    weights = sum(
        onnx.numpy_helper.to_array(tensor).nbytes
        for tensor in graph.initializer
    )
    assert sum(stage["weight_bytes"] for stage in stages) == weights
    assert stages[-1]["shape"] == [None]


def test_inspect_a_model(model_paths, detector, capfd):
    assert run("inspect", model_paths[detector], "--json") == 0
    content = json.loads(capfd.readouterr().out)
    assert content["detector"] == detector
    from safetensors import safe_open

    with safe_open(model_paths[detector], framework="pt") as file:
        shapes = {
            name: file.get_slice(name).get_shape()
            for name in file.keys()  # noqa: SIM118
        }
    assert {
        tensor["name"]: tensor["shape"] for tensor in content["tensors"]
    } == shapes
    assert run("inspect", model_paths[detector]) == 0
    assert "fitted to" in capfd.readouterr().out
    assert run("inspect", model_paths[detector], "--graph") == 2
    assert "before it is exported" in capfd.readouterr().err


def test_inspect_states_the_contracts_in_the_graphs(copy, capsys):
    assert run("inspect", copy) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "the manifest's contract, in all 2; a program" in shown
    assert run("threshold", copy, "--set", "1e6") == 0
    capsys.readouterr()
    assert run("inspect", copy) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "without the local values (threshold)" in shown
    assert run("inspect", copy, "--json") == 0
    assert json.loads(capsys.readouterr().out)["graph_contracts"] == {
        "graphs": 2,
        "carried": 2,
        "faults": [],
        "overridden": ["threshold"],
        "fits": False,
    }


def test_the_line_on_contracts_names_what_is_wrong():
    def line(carried, *faults):
        return contract_line(CarriedContracts(2, carried, faults, ()))

    assert "no contract" in line(0)
    assert "in 1 of 2 graphs" in line(1)
    assert "manifest's: model.onnx: a and 1 more" in line(
        2, "model.onnx: a", "b"
    )
