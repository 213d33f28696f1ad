"""What was hashed is what runs: files that change under an open bundle change nothing, or are refused by name.

The law is tried in processes of their own: a vendor that maps a file dies when the file is cut short.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from anomedge import Inspector, runtimes
from anomedge.bundle import Bundle
from anomedge.errors import BundleError, IntegrityError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.writing import write_onnx
from anomedge.images import read_picture
from anomedge.parity.golden import read_golden
from anomedge.runtimes import GraphFile, graph_file, options_for
from tests.bundle.exchanging import flip
from tests.conftest import FRAME, RUNTIMES
from tests.runtimes.conftest import machine as machine  # a fixture


@pytest.fixture(scope="module", params=["in one piece", "past the limit"])
def layouts(request, model_paths, tmp_path_factory):
    """A bundle with every role of a graph; past the limit, its weights lie in a file beside it."""
    target = tmp_path_factory.mktemp("layouts") / "part.anomedge"
    options = ExportOptions(
        frame=FRAME, layout="anomalib", runtimes=RUNTIMES[:1], batches=[1]
    )
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "past the limit":
            patch.setitem(write_onnx.__kwdefaults__, "limit", 1 << 20)
            patch.setattr(graph_file, "_LARGEST", 0)
        export(model_paths["padim"], target, options)
    assert (target / "model.onnx.data").exists() == (
        request.param == "past the limit"
    )
    return target


@pytest.fixture
def copy(bundle_paths, tmp_path):
    return shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")


LAW = """
    import json, os, sys
    from pathlib import Path
    import numpy as np
    from anomedge import runtimes
    from anomedge.bundle import Bundle, Variant
    from anomedge.errors import IntegrityError
    from anomedge.runtimes import graph_file, options_for

    root, named = Path(sys.argv[1]), sys.argv[2].split(",")
    if (root / "model.onnx.data").exists():
        graph_file._LARGEST = 0
    bundle = Bundle.open(root)
    own = bundle.variant("fp32")
    without_ir = Variant({k: v for k, v in own.root.items() if "openvino" not in k})
    ROLES = {
        "model": own,
        "model without IR": without_ir,
        "stages": own.with_model("stages"),
        "segments": own.with_model("segments"),
        "anomalib": own.with_model("anomalib"),
        "anomalib without IR": without_ir.with_model("anomalib"),
    }

    def opened(kind, role):
        return kind.from_variant(bundle, ROLES[role], options_for(kind, threads=1))

    def ran(session):
        generator = np.random.default_rng(0)
        feed = {}
        for name, spec in session.inputs.items():
            values = generator.integers(0, 256, [n or 1 for n in spec.shape])
            feed[name] = values.astype(spec.dtype) if spec.dtype == "uint8" else (values / 255).astype(spec.dtype)
        return session.run(feed)

    def alike(one, other):
        return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)

    kinds = {name: runtimes.get(name) for name in named}
    sessions = {(name, role): opened(kind, role) for name, kind in kinds.items() for role in ROLES}
    before = {key: ran(session) for key, session in sessions.items()}
    maps = Path("/proc/self/maps")
    problems = [f"{root} is mapped"] if maps.exists() and str(root) in maps.read_text() else []

    def check(change):
        for name in bundle.manifest.files:
            change(root / name)
        for key, session in sessions.items():
            if not alike(before[key], ran(session)):
                problems.append(f"{key} changed when files were {change.__name__}")
        for name, kind in kinds.items():
            for role in ROLES:
                try:
                    opened(kind, role).close()
                    problems.append(f"{name} opened {role} of files that were {change.__name__}")
                except IntegrityError:
                    pass

    def overwritten(path):
        with path.open("r+b") as file:
            file.write(bytes(255 - value for value in path.read_bytes()))

    def truncated(path):
        os.truncate(path, path.stat().st_size // 2)

    def emptied(path):
        os.truncate(path, 0)

    for change in (overwritten, truncated, emptied):
        check(change)
    print(json.dumps(problems))
"""


def test_files_that_change_under_a_session_change_nothing(layouts, tmp_path):
    root = shutil.copytree(layouts, tmp_path / "part.anomedge")
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(LAW),
        str(root),
        ",".join(RUNTIMES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done
    assert json.loads(done.stdout) == []


def test_the_values_of_other_files_are_those_that_the_vendor_would_read(
    layouts, runtime, monkeypatch
):
    """With the values put into the graph, beside it in memory, and as files of our own."""
    bundle, kind = Bundle.open(layouts), runtimes.get(runtime)
    options = options_for(kind, threads=1, stages=True)
    frames = np.random.default_rng(0).integers(
        0, 256, (2, *FRAME, 3), dtype=np.uint8
    )
    found = []
    for largest in (graph_file._LARGEST, 0):
        monkeypatch.setattr(graph_file, "_LARGEST", largest)
        with kind.from_bundle(bundle, options) as session:
            found.append(session.run({"frames": frames}))
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_a_file_exchanged_between_hashing_and_reading_is_refused(copy, runtime):
    for stages in (False, True):
        bundle = Bundle.open(copy)
        kind = runtimes.get(runtime)
        options = options_for(kind, stages=stages)
        graph = copy / kind.file_of(bundle.variant("fp32"), options)
        read = [
            graph,
            graph.with_suffix(".bin")
            if graph.suffix == ".xml"
            else copy / "model.onnx",
        ]
        for path in read:
            whole = path.read_bytes()
            for change in (
                flip,
                lambda p: p.write_bytes(p.read_bytes()[:-1]),
                os.unlink,
                fifo,
            ):
                change(path)
                with pytest.raises(IntegrityError, match=path.name):
                    runtimes.open(bundle, runtime, stages=stages)
                path.unlink(missing_ok=True)
                path.write_bytes(whole)
        runtimes.open(bundle, runtime, stages=stages).close()


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def test_golden_frames_and_arrays_are_what_was_hashed(copy):
    bundle = Bundle.open(copy)
    reference = read_golden(bundle)
    kept = (
        reference.outputs.anomaly_map.copy(),
        {p: dict(s) for p, s in reference.stages.items()},
    )
    for name in bundle.manifest.files:
        if name.endswith(".npy"):
            os.truncate(copy / name, 0)
    np.testing.assert_array_equal(reference.outputs.anomaly_map, kept[0])
    for place, stages in reference.stages.items():
        for name, values in stages.items():
            np.testing.assert_array_equal(values, kept[1][place][name])
    entry, picture = bundle.manifest.golden[0], reference.pictures[0]
    np.testing.assert_array_equal(
        picture.frame(), read_picture(copy / entry.frame)
    )
    assert picture.digest == bundle.manifest.files[entry.frame].sha256
    shutil.copy(copy / bundle.manifest.golden[1].frame, copy / entry.frame)
    for use in (
        picture.frame,
        lambda: bundle.read(entry.frame),
        lambda: read_golden(bundle),
    ):
        with pytest.raises(
            IntegrityError, match="was changed since the bundle was opened"
        ):
            use()


def test_an_engine_is_of_the_bytes_that_its_record_names(
    copy, machine, monkeypatch
):
    """A graph that changes while its engine is built is not what is built."""
    trt = machine.install("10.16.1")
    bundle, graph = (
        Bundle.open(copy),
        GraphFile.in_bundle(Bundle.open(copy), "stages.onnx"),
    )
    load = GraphFile.load

    def loaded(self):
        found = load(self)
        (copy / "stages.onnx").write_bytes(b"{}")
        (copy / "model.onnx").write_bytes(b"{}")
        return found

    monkeypatch.setattr(GraphFile, "load", loaded)
    built = runtimes.get("trt").build(graph, options_for(runtimes.get("trt")))
    files = {
        name: bundle.manifest.files[name].sha256
        for name in ("stages.onnx", "model.onnx")
    }
    assert built.record["fingerprint"]["graph"] == files
    assert list(trt.network._graph["inputs"]) == ["frames"]


def test_the_decision_is_that_of_the_time_of_opening(copy, runtime):
    with Inspector.open(copy, runtime) as inspector:
        threshold = inspector.decision.threshold
        (copy / "local.json").write_text(
            json.dumps({"threshold": threshold + 1})
        )
        assert inspector.decision.threshold == threshold
        assert "local.json changed" in inspector.changed()
    (copy / "local.json").write_text("{")
    with pytest.raises(BundleError, match=r"local\.json"):
        Inspector.open(copy, runtime)
