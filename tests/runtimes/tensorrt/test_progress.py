"""Steps of a build: shown, and stopped by Ctrl-C."""

import signal
import threading

import pytest

from tests.runtimes.tensorrt.engines import made


def test_progress_is_shown_while_standard_error_is_a_terminal(
    trt, graph, monkeypatch, capsys
):
    made(graph())
    assert capsys.readouterr().err == ""
    said = []
    monkeypatch.setattr(
        "anomedge.runtimes.tensorrt.builder.waiting",
        lambda text: Spy(text, said),
    )
    made(graph())
    steps = (
        []
        if trt.__version__.startswith("8")
        else ["building engine 1/2", "building engine 2/2"]
    )
    assert said == ["building an engine of model.onnx", *steps]


class Spy:
    def __init__(self, text, said):
        self.said = said
        said.append(text)

    def __enter__(self):
        return self.said.append

    def __exit__(self, *_):
        pass


def test_a_line_that_cannot_be_shown_does_not_end_the_build(
    new, graph, monkeypatch
):
    class Broken(Spy):
        def __enter__(self):
            return lambda text: 1 / 0

    monkeypatch.setattr(
        "anomedge.runtimes.tensorrt.builder.waiting",
        lambda text: Broken(text, []),
    )
    assert made(graph()).fresh


def test_ctrl_c_ends_a_build_at_its_next_step(new, graph, tmp_path):
    answers = []

    def step(monitor):
        monitor.phase_start("Building engine", None, 1000)
        assert threading.current_thread() is not threading.main_thread()
        signal.raise_signal(signal.SIGINT)
        for i in range(1000):
            answers.append(monitor.step_complete("Building engine", i))
            if not answers[-1]:
                return False
            threading.Event().wait(0.01)
        return True

    new.step = step
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            made(graph())
    finally:
        signal.signal(signal.SIGINT, before)
    assert answers[-1] is False
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
