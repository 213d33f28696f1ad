"""anomalib's layout: its tools open our graphs and decide as we do, and what would decide otherwise is not published."""

import filecmp
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import onnx
import openvino
import pytest
from model_api.adapters import OpenvinoAdapter
from model_api.models import AnomalyDetection, Model
from onnx import TensorProto, helper, numpy_helper

from anomedge import Inspector, runtimes
from anomedge.bundle import Bundle, write_manifest
from anomedge.errors import BundleError, InputError, ProofFailed
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import read_folder, read_picture
from anomedge.layouts.anomalib import Anomalib
from anomedge.parity import Comparison, Plan
from anomedge.parity.golden import read_golden
from anomedge.parity.layout import check_layout
from anomedge.runtimes.ov import _core
from anomedge.threshold import Decision
from tests.conftest import FRAME, RUNTIMES
from tests.parity.examples import DECISION

FILES = ("anomalib.onnx", "openvino/anomalib.xml")
SUFFIX = {"onnxruntime": FILES[0], "openvino": FILES[1]}
# Without it a processor that can computes in bfloat16, whoever opens the file.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


def checked(bundle, runtime, batches):
    plan = Plan([runtime], batches)
    comparison = Comparison.of(bundle, read_golden(bundle), plan)
    return check_layout(bundle, comparison, plan, runtime, "anomalib")


@pytest.fixture(scope="module")
def core():
    """One for all: a core that goes before an older one leaves its signal stack behind (`anomedge.runtimes.ov`)."""
    return _core()


def model_api(core, path, **configuration):
    return Model.create_model(
        OpenvinoAdapter(core, str(path), device="CPU", plugin_config=PRECISION),
        configuration=configuration,
    )


@pytest.fixture(scope="module")
def paths(model_paths, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("laid-out")
    for detector, path in model_paths.items():
        options = ExportOptions(
            frame=FRAME, golden=[pictures / "test"], layout="anomalib"
        )
        assert export(path, folder / f"{detector}.anomedge", options).passed
    return {
        detector: folder / f"{detector}.anomedge" for detector in model_paths
    }


@pytest.fixture
def laid_out(paths, detector) -> Bundle:
    return Bundle.open(paths[detector])


def frames_of(bundle, pictures):
    """The test pictures, and the golden ones: blends next to the threshold are among them."""
    golden = [
        read_picture(bundle.file(entry.frame))
        for entry in bundle.manifest.golden
    ]
    return [
        picture.frame() for picture in read_folder(pictures / "test")
    ] + golden


def as_opencv_reads(frame):
    return np.ascontiguousarray(frame[..., ::-1])


def allowed(decision):
    """In the [0, 1] range: 1e-4 of the scale."""
    return 1e-4 * decision.scale / decision.range + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_model_api_decides_as_we_do(core, laid_out, pictures, file):
    model = model_api(core, laid_out.file(file))
    assert isinstance(model, AnomalyDetection)
    height, width = FRAME
    labels = set()
    with Inspector.open(laid_out, runtime="openvino") as inspector:
        for frame in frames_of(laid_out, pictures):
            theirs, ours = (
                model(as_opencv_reads(frame)),
                inspector.predict(frame),
            )
            decision = inspector.decision
            assert theirs.pred_label == str(ours.label == "anomalous")
            assert theirs.pred_score == pytest.approx(
                decision.normalised(ours.score).item(), abs=allowed(decision)
            )
            # Model API stretches map and mask over the picture and says the map in grey levels.
            mask = cv2.resize(ours.mask.astype(np.uint8), (width, height))
            assert (theirs.pred_mask != mask).mean() < 1e-3
            levels = 255 * decision.normalised(
                ours.anomaly_map, decision.pixel_threshold
            )
            shown = cv2.resize(
                np.round(levels).astype(np.uint8), (width, height)
            )
            assert np.abs(theirs.anomaly_map.astype(int) - shown).max() <= 1
            labels.add(theirs.pred_label)
    assert labels == {"True", "False"}


@pytest.mark.slow
def test_model_api_resizes_a_picture_of_another_size(core, laid_out, pictures):
    """To the frame, bilinearly: that frame decides, to a grey level or two; map and mask have the picture's own size."""
    model = model_api(core, laid_out.file(FILES[1]))
    height, width = FRAME
    with Inspector.open(laid_out, runtime="openvino") as inspector:
        decision = inspector.decision
        for picture in read_folder(pictures / "test"):
            large = cv2.resize(
                picture.frame(),
                (2 * width, 2 * height),
                interpolation=cv2.INTER_CUBIC,
            )
            theirs = model(as_opencv_reads(large))
            ours = inspector.predict(
                cv2.resize(
                    large, (width, height), interpolation=cv2.INTER_LINEAR
                )
            )
            assert (
                theirs.pred_mask.shape
                == theirs.anomaly_map.shape
                == large.shape[:2]
            )
            assert theirs.pred_label == str(ours.label == "anomalous")
            assert theirs.pred_score == pytest.approx(
                decision.normalised(ours.score).item(), abs=0.02
            )


@pytest.mark.slow
def test_model_api_takes_rgb_where_it_is_told_to(core, laid_out, pictures):
    bgr = model_api(core, laid_out.file(FILES[1]))
    rgb = model_api(core, laid_out.file(FILES[1]), reverse_input_channels=False)
    for frame in frames_of(laid_out, pictures)[:3]:
        assert (
            rgb(frame.copy()).pred_score
            == bgr(as_opencv_reads(frame)).pred_score
        )


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_anomalibs_inferencer_gets_what_it_expects(
    core, laid_out, pictures, file
):
    """As `OpenVINOInferencer` does: pictures in [0, 1], NCHW, by the first input's name; outputs by their only name."""
    compiled = core.compile_model(laid_out.file(file), "CPU", PRECISION)
    assert [output.names for output in compiled.outputs] == [
        {"pred_score"}, {"pred_label"}, {"anomaly_map"}, {"pred_mask"},
    ]  # fmt: skip
    frames = frames_of(laid_out, pictures)
    with Inspector.open(laid_out, runtime="openvino") as inspector:
        for frame in frames:
            image = (
                (frame / 255.0).astype(np.float32)[None].transpose(0, 3, 1, 2)
            )
            label = compiled({compiled.input(0).any_name: image})["pred_label"]
            assert label.item() == (
                inspector.predict(frame).label == "anomalous"
            )


@pytest.mark.slow
@pytest.mark.parametrize("runtime", sorted(set(RUNTIMES) & set(SUFFIX)))
@pytest.mark.parametrize("batch", [1, 3])
def test_names_types_and_shapes(laid_out, runtime, batch):
    with runtimes.open(
        laid_out.file(SUFFIX[runtime]), runtime=runtime
    ) as session:
        assert {name: str(spec) for name, spec in session.inputs.items()} == {
            "input": "float32 (any, 3, 96, 128)"
        }
        outputs = session.run(
            {"input": np.zeros((batch, 3, *FRAME), np.float32)}
        )
    assert {
        name: (array.dtype.name, array.shape) for name, array in outputs.items()
    } == {
        "pred_score": ("float32", (batch,)),
        "pred_label": ("bool", (batch,)),
        "anomaly_map": ("float32", (batch, 1, 64, 72)),
        "pred_mask": ("bool", (batch, 1, 64, 72)),
    }


@pytest.mark.slow
def test_the_graph_is_ours_with_a_head_and_a_tail(laid_out):
    ours = onnx.load(laid_out.file("model.onnx"))
    theirs = onnx.load(laid_out.file(FILES[0]), load_external_data=False)
    assert [(o.domain, o.version) for o in theirs.opset_import] == [("", 17)]
    assert [n.op_type for n in theirs.graph.node][
        4 : 4 + len(ours.graph.node)
    ] == [n.op_type for n in ours.graph.node]
    assert laid_out.file(FILES[0]).stat().st_size < 100_000
    assert {
        e.value
        for t in theirs.graph.initializer
        for e in t.external_data
        if e.key == "location"
    } == {"model.onnx"}
    onnx.checker.check_model(laid_out.file(FILES[0]), full_check=True)


@pytest.mark.slow
def test_metadata_says_how_to_feed_and_where_the_thresholds_lie(core, laid_out):
    decision = laid_out.manifest.decision
    graph = core.read_model(laid_out.file(FILES[1]))
    info = {
        key: graph.get_rt_info(["model_info", key]).astype(str)
        for key in Anomalib.model_info(decision)
    }
    assert info == {
        "image_threshold": repr(decision.threshold),
        "labels": "Normal Anomaly",
        "model_type": "AnomalyDetection",
        "normalization_scale": repr(decision.range),
        "pixel_threshold": repr(decision.pixel_threshold),
        "resize_type": "standard",
        "reverse_input_channels": "True",
        "scale_values": "255.0 255.0 255.0",
        "task": "segmentation",
    }
    properties = onnx.load(
        laid_out.file(FILES[0]), load_external_data=False
    ).metadata_props
    own = [e for e in properties if not e.key.startswith("anomedge.")]
    assert {entry.key: entry.value for entry in own} == {
        f"model_info {key}": info[key] for key in info
    }
    assert openvino.layout_helpers.get_layout(
        graph.input(0)
    ) == openvino.Layout("NCHW")


def decided(threshold, pixel_threshold=30.0) -> Decision:
    return DECISION.model_copy(
        update={"threshold": threshold, "pixel_threshold": pixel_threshold}
    )


def grey_graph(decision):
    """Frames of 1 x 256: the score is the largest grey level of all, the map the largest of each pixel's three."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["levels_"], to=TensorProto.FLOAT),
        helper.make_node(
            "ReduceMax", ["levels_"], ["score"], axes=[1, 2, 3], keepdims=0
        ),
        helper.make_node(
            "ReduceMax", ["levels_"], ["of_pixel"], axes=[3], keepdims=1
        ),
        helper.make_node(
            "Transpose", ["of_pixel"], ["anomaly_map"], perm=[0, 3, 1, 2]
        ),
    ]
    frames = helper.make_tensor_value_info(
        "frames", TensorProto.UINT8, ["batch", 1, 256, 3]
    )
    outputs = [
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info(
            "anomaly_map", TensorProto.FLOAT, ["batch", 1, 1, 256]
        ),
    ]
    graph = helper.make_graph(nodes, "grey", [frames], outputs)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    Anomalib.rewrite(model, decision)
    onnx.checker.check_model(model, full_check=True)
    return model


# 100 - 1e-9 is 100 in float32: 100 is above it all the same. 100 + 1e-9 likewise, but 100 is not above it.
@pytest.mark.parametrize(
    "threshold", [100.0, 100 - 1e-9, 100 + 1e-9, 100.3, 0.1, -3.0]
)
def test_on_the_threshold_is_normal_and_no_rounding_changes_a_label(
    threshold, runtime, tmp_path
):
    decision = decided(threshold, pixel_threshold=threshold)
    onnx.save(grey_graph(decision), tmp_path / "grey.onnx")
    levels = np.arange(256)
    with runtimes.open(tmp_path / "grey.onnx", runtime=runtime) as session:
        one_each = np.repeat(levels.astype(np.uint8), 256 * 3).reshape(
            256, 1, 256, 3
        )
        outputs = session.run(Anomalib.feed(one_each))
    np.testing.assert_array_equal(
        outputs["pred_label"], decision.is_anomalous(levels)
    )
    np.testing.assert_array_equal(
        outputs["pred_mask"][:, 0, 0, 0], decision.mask(levels)
    )
    np.testing.assert_allclose(
        outputs["pred_score"], decision.normalised(levels), atol=1e-6
    )


def test_a_threshold_can_be_edited_by_its_name(runtime, tmp_path):
    model = grey_graph(decided(100.0))
    tensor = next(
        t for t in model.graph.initializer if t.name == "image_threshold"
    )
    tensor.CopyFrom(numpy_helper.from_array(np.float32(120), "image_threshold"))
    onnx.save(model, tmp_path / "grey.onnx")
    frames = np.full((1, 1, 256, 3), 110, np.uint8)
    with runtimes.open(tmp_path / "grey.onnx", runtime=runtime) as session:
        outputs = session.run(Anomalib.feed(frames))
    assert not outputs["pred_label"].any()
    assert outputs["pred_score"].item() == pytest.approx(0.0)


def test_levels_between_and_beyond_become_whole_ones(runtime, tmp_path):
    onnx.save(grey_graph(decided(100.0)), tmp_path / "grey.onnx")
    levels = np.array([100.4, 100.6, -20.0, 300.0], np.float32) / 255
    image = np.broadcast_to(levels[:, None, None, None], (4, 3, 1, 256))
    with runtimes.open(tmp_path / "grey.onnx", runtime=runtime) as session:
        label = session.run({"input": np.ascontiguousarray(image)})[
            "pred_label"
        ]
    assert label.tolist() == [False, True, False, True]


@pytest.mark.slow
def test_two_exports_are_byte_identical_and_add_to_a_bundle_without(
    paths, bundle_paths, model_paths, pictures, tmp_path
):
    code = "import sys; from anomedge.__main__ import run_command; sys.exit(run_command('export', sys.argv[1:]))"
    command = [
        str(model_paths["padim"]),
        "-o",
        "again.anomedge",
        "--frame",
        f"{FRAME[0]}x{FRAME[1]}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--golden", str(pictures / "test"), "--layout", "anomalib"],
        cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, again, without = (
        paths["padim"],
        tmp_path / "again.anomedge",
        bundle_paths["padim"],
    )
    names = sorted(
        str(p.relative_to(one)) for p in one.rglob("*") if p.is_file()
    )
    assert names == sorted(
        str(p.relative_to(again)) for p in again.rglob("*") if p.is_file()
    )
    assert filecmp.cmpfiles(one, again, names, shallow=False)[0] == names
    added = {"anomalib.onnx", "openvino/anomalib.xml", "openvino/anomalib.bin"}
    assert (
        Bundle.open(one).manifest.files.keys()
        - Bundle.open(without).manifest.files.keys()
        == added
    )
    shared = sorted(Bundle.open(without).manifest.files)
    assert filecmp.cmpfiles(one, without, shared, shallow=False)[0] == shared


def test_without_it_there_is_nothing_of_it(bundle):
    assert not [name for name in bundle.manifest.files if "anomalib" in name]
    assert bundle.variant("fp32").find("anomalib") is None
    assert bundle.variant("fp32").layouts() == ()
    with pytest.raises(BundleError, match="--layout anomalib"):
        checked(bundle, RUNTIMES[0], (1,))


@pytest.mark.slow
def test_the_certificate_covers_it(laid_out):
    checks = [
        check
        for runtime in RUNTIMES
        for check in checked(laid_out, runtime, (1, 2))
    ]
    assert all(check.passed for check in checks), checks
    names = [
        "outputs",
        "metadata",
        "between grey levels",
        "pred_label",
        "pred_mask",
        "pred_score",
        "anomaly_map",
    ]
    assert [(c.runtime, c.name) for c in checks] == [
        (r, f"anomalib {name}") for r in RUNTIMES for name in names
    ]


def planted(bundle, tmp_path, change) -> Bundle:
    """A bundle whose layout was changed and whose manifest agrees: only a proof can tell."""
    root = tmp_path / "planted.anomedge"
    shutil.copytree(bundle.path, root)
    proto = onnx.load(root / FILES[0], load_external_data=False)
    change(proto.graph)
    (root / FILES[0]).write_bytes(proto.SerializeToString())
    (root / "manifest.json").unlink()
    fields = bundle.manifest.model_dump(exclude={"files", "digest"})
    fields["variants"]["fp32"].pop("anomalib_openvino", None)
    write_manifest(root, fields)
    return Bundle.open(root)


def constant(name, change, graph):
    tensor = next(t for t in graph.initializer if t.name == name)
    tensor.CopyFrom(
        numpy_helper.from_array(
            np.float32(change(numpy_helper.to_array(tensor))), name
        )
    )


def swapped(graph):
    graph.output.extend(
        [onnx.ValueInfoProto.FromString(graph.output[0].SerializeToString())]
    )
    del graph.output[0]


PLANTED = {
    "pred_label": lambda graph: constant(
        "image_threshold", lambda value: value * 1.1, graph
    ),
    "pred_mask": lambda graph: constant(
        "pixel_threshold", lambda value: value * 0.9, graph
    ),
    "pred_score": lambda graph: constant(
        "score_range", lambda value: value * 1.1, graph
    ),
    "anomaly_map": lambda graph: constant(
        "half", lambda value: value + 0.001, graph
    ),
    "outputs": swapped,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (FILES[1], 'scale_values value="255.0 ', 'scale_values value="1.0 ', "scale_values '1.0 255.0 255.0'; expected '255.0"),
        (FILES[1], "<model_info>", '<model_info><tile_size value="9" />', "tile_size '9'; expected 'none'"),
        (FILES[1], 'value="Normal Anomaly"', 'value="Anomaly Normal"', "labels 'Anomaly Normal'; expected"),
        (FILES[1], "[N,C,H,W]", "[N,H,W,C]", "input layout [N,H,W,C]; expected [N,C,H,W]"),
        (FILES[0], "255.0 255.0 255.0", "200.0 255.0 255.0", "model_info scale_values '200.0"),
    ],
)  # fmt: skip
def test_metadata_that_programs_read_are_proven(
    paths, tmp_path, file, old, new, said, runtime
):
    bundle = Bundle.open(paths["padim"])
    root = tmp_path / "forged.anomedge"
    shutil.copytree(bundle.path, root)
    content = (root / file).read_bytes()
    assert content.count(old.encode()) == 1
    (root / file).write_bytes(content.replace(old.encode(), new.encode()))
    (root / "manifest.json").unlink()
    write_manifest(
        root, bundle.manifest.model_dump(exclude={"files", "digest"})
    )
    checks = checked(Bundle.open(root), runtime, (1,))
    (failed,) = [check for check in checks if not check.passed]
    assert failed.name == "anomalib metadata"
    assert said in failed.detail


@pytest.mark.slow
@pytest.mark.parametrize("output", PLANTED)
def test_what_is_wrong_is_found_and_named(paths, tmp_path, output, runtime):
    bundle = planted(Bundle.open(paths["patchcore"]), tmp_path, PLANTED[output])
    checks = checked(bundle, runtime, (1,))
    assert f"anomalib {output}" in {
        check.name for check in checks if not check.passed
    }


def test_a_layout_that_decides_otherwise_is_not_published(
    model_paths, pictures, tmp_path, monkeypatch
):
    rewrite = Anomalib.rewrite

    def wrong(graph, decision):
        rewrite(
            graph,
            decision.model_copy(update={"threshold": decision.threshold * 1.1}),
        )

    monkeypatch.setattr(Anomalib, "rewrite", wrong)
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        runtimes=RUNTIMES[:1],
        batches=[1],
        layout="anomalib",
    )
    with pytest.raises(ProofFailed, match="anomalib pred_label"):
        export(model_paths["padim"], tmp_path / "wrong.anomedge", options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"layout": "openvino"}, "expected one of: anomalib, bgr, frames"),
        ({"batch": 3}, "one picture"),
        ({"precisions": ["fp16-storage"]}, "expected fp32 among them"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(more, said, model_paths, tmp_path):
    options = ExportOptions(**({"frame": FRAME, "layout": "anomalib"} | more))
    with pytest.raises(InputError, match=said):
        export(model_paths["padim"], tmp_path / "b.anomedge", options)
    assert os.listdir(tmp_path) == []
