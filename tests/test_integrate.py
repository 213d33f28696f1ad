"""The examples of docs/integrate.md give the results of `Inspector`."""

import numpy as np

from anomedge import Inspector
from anomedge.images import list_pictures, read_picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.runtimes.imports import import_openvino
from tests.documentation import ROOT, blocks

HINT = '{"INFERENCE_PRECISION_HINT": "f32"}'


def allowed_error(bundle):
    return TOLERANCES["fp32"].score * bundle.manifest.decision.scale


def test_the_documented_line_computes_in_float32(
    detector, bundle, bundle_paths, pictures
):
    openvino = import_openvino()
    from anomedge.runtimes.ov import _core

    page = ROOT / "docs" / "integrate.md"
    (line,) = (
        b.text
        for b in blocks(page)
        if b.language == "python" and HINT in b.text
    )
    graph = str(bundle.file("openvino/model.xml"))
    namespace = {"core": _core()}
    exec(line.replace("openvino/model.xml", graph), namespace)  # noqa: S102
    compiled = namespace["compiled"]
    hint = compiled.get_property("INFERENCE_PRECISION_HINT")
    assert hint == openvino.Type.f32
    frames = np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")]
    )
    with Inspector.open(
        bundle_paths[detector], runtime="onnxruntime"
    ) as inspector:
        results = inspector.predict(frames)
    expected = np.array([result.score for result in results])
    error = np.abs(compiled(frames)["score"] - expected).max()
    assert error <= allowed_error(bundle)
