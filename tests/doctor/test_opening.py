"""Every runtime is tried; the reason of each that does not open is told, and times are classed."""

from anomedge.doctor import opening
from anomedge.doctor.opening import Opening, classes, open_everywhere
from anomedge.doctor.processes import Answer
from anomedge.doctor.tiny import TINY_GRAPH

FOUND = {
    "version": "1",
    "running_on": "CPU",
    "open_milliseconds": 2.0,
    "milliseconds": 1.0,
}


def test_reasons_of_the_runtimes_that_do_not_open(monkeypatch, tmp_path):
    answers = iter(
        [
            Answer((), "its process ended by SIGSEGV", ("libx.so",)),
            Answer(({"doctor": {"error": "no such layer"}},), "", ()),
            Answer(({"doctor": FOUND},), "", ()),
        ]
    )
    monkeypatch.setattr(opening, "ask", lambda *_: next(answers))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY_GRAPH)
    found = open_everywhere(path, "fp32", 60, ["GPU"])
    rows = [(o.runtime, o.device, o.opens, o.reason) for o in found[:3]]
    assert rows == [
        ("onnxruntime", None, False, "its process ended by SIGSEGV"),
        ("openvino", None, False, "no such layer"),
        ("openvino", "gpu", True, ""),
    ]
    assert found[0].missing == ("libx.so",)
    engines = {o.runtime: o.reason for o in found[3:]}
    assert set(engines) == {"tensorrt", "tensorrt-rtx"}
    assert all(engines.values())


def test_classes_are_relative_to_the_fastest():
    times = [10.0, None, 11.0, 25.0]
    openings = [Opening("a", None, milliseconds=each) for each in times]
    assert classes(openings) == [
        "fastest",
        "",
        "about as fast",
        "2.5 times as long",
    ]
    assert classes([Opening("a", None)]) == [""]
