"""Layouts of float32 planes: raw outputs, whole grey levels, and the input that their contract states."""

import numpy as np
import onnxruntime
import pytest

from anomedge import Inspector
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import read_folder, read_picture
from anomedge.layouts import LAYOUTS
from tests.conftest import FRAME, RUNTIMES
from tests.layouts.graphs import SHAPE, frames_graph, same_outputs
from tests.parity.examples import DECISION

NAMES = ("nchw-rgb-255", "nchw-rgb-1", "nchw-bgr-255", "nchw-bgr-1")


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_gives_the_bundles_outputs(name):
    frames = np.random.default_rng(0).integers(0, 256, (3, *SHAPE, 3), np.uint8)
    assert same_outputs(LAYOUTS.get(name), frames)


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_a_label(name):
    outputs = LAYOUTS.get(name).outputs_of(has_map=True).values()
    assert {each.dtype for each in outputs} == {"float32"}
    assert {each.form for each in outputs} == {"raw"}


def test_the_batch_stays_open():
    model = frames_graph()
    LAYOUTS.get("nchw-bgr-1").rewrite(model, DECISION)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, *SHAPE]


def decide(session, frame):
    """Decide as DeepStream's clients do: the input, its scale and the threshold come from the graph's metadata alone."""
    stated = session.get_modelmeta().custom_metadata_map
    planes = frame.transpose(2, 0, 1).astype(np.float32)
    if stated["anomedge.colour"] == "BGR":
        planes = planes[::-1]
    white = float(stated["anomedge.values"].split()[1])
    feed = {
        "images": np.ascontiguousarray(planes[None]) * np.float32(white / 255)
    }
    score, raw_map = session.run(["score", "anomaly_map"], feed)
    mask = raw_map[0, 0].astype(float) > float(
        stated["anomedge.pixel_threshold"]
    )
    return float(score[0]) > float(stated["anomedge.threshold"]), mask


@pytest.mark.slow
def test_a_client_with_the_graph_alone_decides_as_the_inspector(
    model_paths, detector, pictures, tmp_path
):
    target = tmp_path / "part.anomedge"
    options = ExportOptions(
        frame=FRAME, golden=[pictures / "test"], runtimes=RUNTIMES[:1],
        batches=[1], layout=NAMES,
    )  # fmt: skip
    assert export(model_paths[detector], target, options).passed
    frames = [picture.frame() for picture in read_folder(pictures / "test")]
    frames += [
        read_picture(path) for path in sorted(target.glob("golden/*.png"))
    ]
    labels = set()
    with Inspector.open(target, runtime="onnxruntime") as inspector:
        expected = [inspector.predict(frame) for frame in frames]
    for name in NAMES:
        session = onnxruntime.InferenceSession(
            target / f"{name}.onnx", providers=["CPUExecutionProvider"]
        )
        for frame, ours in zip(frames, expected, strict=True):
            is_anomalous, mask = decide(session, frame)
            assert is_anomalous == (ours.label == "anomalous")
            assert (mask != ours.mask).mean() < 1e-3
            labels.add(is_anomalous)
    assert labels == {True, False}
