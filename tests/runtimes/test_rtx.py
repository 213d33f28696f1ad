"""NVIDIA's own parser and builder, where the package installs; it builds on a CPU, without a GPU, through our adapter.

What passes here is evidence about NVIDIA's parser and type rules, not about TensorRT 8, 10 or 11. Each build has a process
of its own: a vendor's crash must not take the tests along.
"""

import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import DeviceMismatch
from anomedge.export.bundling import ExportOptions, export
from anomedge.precisions import PRECISIONS, written
from anomedge.runtimes import GraphFile
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.tensorrt.builder import BuildRequest, build
from anomedge.runtimes.tensorrt.options import EngineOptions
from tests.conftest import FRAME, RUNTIMES
from tests.runtimes.fake_cuda import FakeCuda
from tests.runtimes.fake_tensorrt import FakeTensorRT

if importlib.util.find_spec("tensorrt_rtx") is None:
    pytest.skip("tensorrt_rtx is not installed", allow_module_level=True)

FLOATS = [
    name for name, member in written().items() if not member.quantised_networks
]
"""Precisions that share a bundle."""
RUN = [sys.executable, "-W", "error", "-m", "anomedge"]


def built(path, *arguments):
    command = [
        *RUN,
        "build",
        str(path),
        "--runtime",
        "rtx",
        "--json",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def fixed(model_paths, tmp_path_factory):
    """A bundle of batch 2, in each precision there is."""
    path = tmp_path_factory.mktemp("fixed") / "part.anomedge"
    precisions = tuple(FLOATS)
    export(
        model_paths["padim"],
        path,
        ExportOptions(
            frame=FRAME, batch=2, precisions=precisions, runtimes=RUNTIMES[:1]
        ),
    )
    return path


@pytest.mark.parametrize("stages", [[], ["--stages"]], ids=["model", "stages"])
def test_graphs_parse_and_build(bundle, stages, tmp_path):
    for precision in bundle.manifest.variants:
        made = built(
            bundle.path,
            "--precision",
            precision,
            "--cache",
            str(tmp_path),
            "--batch",
            "1",
            "2",
            "8",
            *stages,
        )
        assert made["built"]
        assert made["bytes"] > 10_000
        assert made["fingerprint"]["batches"] == [1, 2, 8]
        assert (
            PRECISIONS.get(precision).file_name(
                "stages" if stages else "model", ".onnx"
            )
            in made["fingerprint"]["graph"]
        )


@pytest.mark.slow
def test_every_precision_and_a_fixed_batch_build(fixed):
    made = {
        precision: built(fixed, "--precision", precision)
        for precision in FLOATS
    }
    assert (
        len({content["sha256"] for content in made.values()}) == len(FLOATS) > 1
    )
    for precision, content in made.items():
        assert list(content["fingerprint"]["graph"]) == [
            PRECISIONS.get(precision).file_name("model", ".onnx")
        ]
    # Beside the bundle, which stays what its manifest says.
    Bundle.open(fixed)
    kept = sorted(
        path.suffix
        for path in fixed.with_name("part.anomedge.engines").iterdir()
    )
    assert kept == [".engine"] * len(FLOATS) + [".json"] * len(FLOATS)
    assert not built(fixed, "--precision", "fp32")["built"]


def test_a_graph_that_it_refuses_is_told_with_the_parser_s_words(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    done = subprocess.run(
        [*RUN, "build", str(path), "--runtime", "rtx"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert (
        "model.onnx was not understood: (deserializeOnnxModel): MODEL_DESERIALIZE_FAILED"
        in done.stderr
    )
    assert [found.name for found in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.skipif(bool(gpus.find().gpus), reason="there is a GPU")
def test_it_does_not_run_without_a_gpu_and_commands_do_not_try(bundle):
    with pytest.raises(DeviceMismatch, match="needs an RTX-class GPU"):
        runtimes.open(bundle, runtime="rtx")
    assert "tensorrt-rtx" in runtimes.installed()
    assert "tensorrt-rtx" not in runtimes.usable()


# Every call on the vendor's objects, as the fake of `tests/runtimes` keeps them.
RECORD = """
    import json, sys, warnings
    from pathlib import Path
    import tensorrt_rtx as real
    from anomedge.runtimes import GraphFile
    from anomedge.runtimes.tensorrt.builder import BuildRequest, build
    from anomedge.runtimes.tensorrt.options import EngineOptions

    journal = []
    kinds = set(json.loads(sys.argv[2]))

    def bare(value):
        return value._real if isinstance(value, Proxy) else value

    def wrapped(value):
        return Proxy(value) if type(value).__name__ in kinds else value

    class Proxy:
        def __init__(self, value):
            object.__setattr__(self, "_real", value)

        def __getattr__(self, name):
            journal.append(f"{type(self._real).__name__}.{name}")
            value = getattr(self._real, name)
            if not callable(value):
                return wrapped(value)
            return lambda *arguments: wrapped(value(*map(bare, arguments)))

        def __setattr__(self, name, value):
            journal.append(f"{type(self._real).__name__}.{name}")
            setattr(self._real, name, bare(value))

    class Module:
        __name__ = "tensorrt_rtx"

        def __getattr__(self, name):
            value = getattr(real, name)
            if name not in kinds:
                return value

            def make(*arguments):
                journal.append(name)
                return wrapped(value(*map(bare, arguments)))
            return make

    warnings.simplefilter("ignore", DeprecationWarning)  # its timing cache does nothing, and says so
    request = BuildRequest(GraphFile(Path(sys.argv[1])).load(), EngineOptions(workspace=1 << 30), portable=sys.argv[3] == "portable")
    assert build(Module(), request).plan
    print(json.dumps(journal))
"""


@pytest.mark.parametrize(
    ("release", "how"), [("rtx-1.7.1", "portable"), ("11.4.0", "for one GPU")]
)
@pytest.mark.parametrize("batch", ["dynamic", "fixed"])
def test_the_fake_hears_the_calls_that_the_real_builder_hears(
    release, how, batch, bundle_paths, fixed
):
    path = (fixed if batch == "fixed" else bundle_paths["padim"]) / "model.onnx"
    fake = FakeTensorRT(release, FakeCuda())
    kinds = json.dumps(sorted(fake.surface["classes"]))
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(RECORD),
        str(path),
        kinds,
        how,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    build(
        fake,
        BuildRequest(
            GraphFile(path).load(),
            EngineOptions(workspace=1 << 30),
            portable=how == "portable",
        ),
    )
    assert fake.journal == json.loads(done.stdout)
    assert fake.journal[:4] == [
        "Builder",
        "Builder.create_network",
        "OnnxParser",
        "OnnxParser.parse",
    ]
    assert ("IOptimizationProfile.set_shape" in fake.journal) == (
        batch == "dynamic"
    )
    assert ("ITimingCache.serialize" in fake.journal) == (how != "portable")


STOPPED = """
    import json, signal, sys, threading
    from pathlib import Path
    import tensorrt_rtx
    from anomedge.runtimes import GraphFile
    from anomedge.runtimes.tensorrt import builder
    from anomedge.runtimes.tensorrt.options import EngineOptions

    class Say:
        def __enter__(self):
            return self
        def __exit__(self, *_):
            pass
        def __call__(self, text):
            steps.append(text)
            if len(steps) == 4:
                signal.raise_signal(signal.SIGINT)
                said.wait(20)
            if text == "stopping":
                said.set()

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without
    steps, said = [], threading.Event()
    builder.waiting = lambda text: Say()
    try:
        builder.build(tensorrt_rtx, builder.BuildRequest(GraphFile(Path(sys.argv[1])).load(), EngineOptions(), portable=True))
    except KeyboardInterrupt:
        print(json.dumps(steps))
"""


def test_the_real_builder_tells_its_steps_and_stops_at_ctrl_c(bundle):
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(STOPPED),
        str(bundle.file("model.onnx")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert all("/" in step for step in steps[:4])
    assert steps[4:] == ["stopping"]
