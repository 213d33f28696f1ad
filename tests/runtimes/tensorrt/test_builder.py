"""What the builder is told, release by release."""

import io
import signal
import sys
import threading

import pytest

from anomedge.errors import InputError
from anomedge.progress import waiting
from anomedge.runtimes import GraphFile, get, options_for
from anomedge.runtimes.tensorrt.builder import BuildRequest, build
from anomedge.runtimes.tensorrt.options import EngineOptions

HALF = {
    "layers": [
        ["CAST", ["HALF"]],
        ["CONVOLUTION", ["HALF"]],
        ["CAST", ["FLOAT"]],
        ["REDUCE", ["FLOAT"]],
        ["TOPK", ["FLOAT", "INT32"]],
    ]
}


def made(path, **options):
    runtime = get("trt")
    return runtime.build(path, options_for(runtime, **options), force=True)


def test_networks_are_strongly_typed_from_10_on(trt, graph):
    made(graph(**HALF))
    release = trt.__version__
    flag = (
        {"8": 1 << 0, "1": 1 << 1}[release[0]]
        if not release.startswith("11")
        else 1 << 0
    )
    assert trt.flags == flag
    if release.startswith("8"):
        assert trt.config._flags == {"FP16", "OBEY_PRECISION_CONSTRAINTS"}
    else:
        assert trt.config._flags == set()
        assert not any(call.startswith("ILayer") for call in trt.journal)


def test_on_8_all_that_is_float_is_pinned_to_float(machine, graph):
    trt = machine.install("8.6.1")
    made(graph(**HALF))
    pinned = [
        (layer._type.name, layer.__dict__.get("precision"), dict(layer._set))
        for layer in trt.network._layers
    ]
    float_ = trt.DataType.FLOAT
    assert pinned == [
        ("CAST", None, {}),
        ("CONVOLUTION", None, {}),
        ("CAST", None, {}),
        ("REDUCE", float_, {0: float_}),
        ("TOPK", float_, {0: float_}),
    ]
    made(graph("plain.onnx"))
    assert trt.config._flags == set()
    assert all(
        layer.__dict__.get("precision") is None for layer in trt.network._layers
    )


def test_tf32_is_cleared_unless_asked_for(trt, graph):
    made(graph())
    assert "TF32" not in trt.config._flags
    made(graph(), tf32=True)
    assert "TF32" in trt.config._flags


def test_options_reach_the_builder(trt, graph):
    made(
        graph(),
        workspace=1 << 28,
        version_compatible=True,
        hardware_compatible=True,
        batches=(2, 3, 7),
    )
    assert trt.config._pools == {"WORKSPACE": 1 << 28}
    assert trt.config._flags == {"VERSION_COMPATIBLE"}
    assert (
        trt.config.hardware_compatibility_level
        == trt.HardwareCompatibilityLevel.AMPERE_PLUS
    )
    assert trt.config._profiles[0]._shapes == {
        "frames": ((2, 4, 6, 3), (3, 4, 6, 3), (7, 4, 6, 3))
    }
    assert "IBuilderConfig.num_compute_capabilities" not in trt.journal


@pytest.mark.parametrize(
    "wrong", [{"workspace": 5}, {"batches": (1, 9, 8)}, {"batches": (0, 1, 8)}]
)
def test_options_out_of_range(new, graph, wrong):
    with pytest.raises(InputError, match="expected"):
        made(graph(), **wrong)


def test_threads_are_those_of_the_builder(trt, graph):
    made(graph())
    assert "Builder.max_threads" not in trt.journal
    made(graph(), threads=3)
    assert "Builder.max_threads" in trt.journal


def test_an_accelerator_is_used_where_there_is_one(trt, graph):
    fixed = {
        "inputs": {"frames": ["UINT8", [2, 4, 6, 3]]},
        "outputs": {"score": ["FLOAT", [2]]},
    }
    with pytest.raises(
        InputError, match=r"got dla=1; this device and release have 0"
    ):
        made(graph(**HALF | fixed), dla=1)
    trt.cores = 2
    with pytest.raises(
        InputError, match=r"takes one fixed batch: export with --batch N"
    ):
        made(graph(**HALF), dla=1)
    made(graph(**HALF | fixed), dla=1)
    assert (trt.config.DLA_core, trt.config.default_device_type) == (
        1,
        trt.DeviceType.DLA,
    )
    if trt.__version__.startswith("11"):
        assert trt.config._flags == {"GPU_FALLBACK"}
    else:
        assert trt.config._flags == {
            "GPU_FALLBACK",
            "FP16",
            "OBEY_PRECISION_CONSTRAINTS",
        }
        with pytest.raises(InputError, match="graph in float32"):
            made(graph(**fixed), dla=1)


def test_the_builder_is_on_the_gpu_asked_for(new, machine, graph):
    machine.gpus("First", "Second")
    (
        made(graph()),
        get("trt").build(
            graph("two.onnx"), options_for(get("trt"), device="cuda:1")
        ),
    )
    assert list(machine.cuda.chosen.values())[-1] == 1


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


def test_the_line_on_a_terminal_has_no_markup(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with waiting("building part") as say:
        say("timing [conv] 1/2")
    assert "building part: timing [conv] 1/2" in sys.stderr.getvalue()


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


def test_a_timing_cache_is_kept_and_used_again(trt, graph, tmp_path):
    made(graph())
    (kept,) = (tmp_path / "model.onnx.engines").glob("*.timing")
    assert kept.read_bytes() == b"timed "
    made(graph(), batches=(1, 1, 2))
    assert kept.read_bytes() == b"timed timed "
    kept.write_bytes(b"spoilt")
    made(graph(), batches=(1, 1, 3))
    assert kept.read_bytes() == b"timed "


def test_a_timing_cache_of_another_device_is_left(new, graph):
    with pytest.warns(UserWarning, match="another device's"):
        product = build(
            new,
            BuildRequest(
                GraphFile(graph()).load(), EngineOptions(), timing=b"another's"
            ),
        )
    assert product.timing == b"timed "
