"""The worker prints findings, and a session's times or the error of its opening."""

import json

from anomedge.doctor.tiny import TINY_GRAPH
from anomedge.doctor.worker import main


def answer_to(capsys, *arguments):
    main(list(arguments))
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line)["doctor"] for line in lines]


def request_for(path, runtime):
    path.write_bytes(TINY_GRAPH)
    return json.dumps(
        {
            "source": str(path),
            "runtime": runtime,
            "device": None,
            "precision": "fp32",
        }
    )


def test_a_probe_prints_its_findings(capsys):
    found = answer_to(capsys, "probe", "processor")
    assert "memory" in {each["title"] for each in found}


def test_a_graph_is_opened_and_timed(capsys, tmp_path):
    request = request_for(tmp_path / "tiny.onnx", "onnxruntime")
    [found] = answer_to(capsys, "open", request)
    assert found["running_on"] == "CPUExecutionProvider"
    assert found["milliseconds"] > 0


def test_an_error_is_an_answer(capsys, tmp_path):
    request = request_for(tmp_path / "tiny.onnx", "caffe")
    [found] = answer_to(capsys, "open", request)
    assert "expected one of" in found["error"]
