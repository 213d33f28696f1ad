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


def test_the_documented_client_decides_as_the_inspector(
    bundle_paths, pictures, tmp_path, monkeypatch
):
    page = ROOT / "docs" / "integrate.md"
    (code,) = (
        block.text
        for block in blocks(page)
        if block.language == "python" and "onnxruntime" in block.text
    )
    path = bundle_paths["padim"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.anomedge").symlink_to(path)
    labels = set()
    with Inspector.open(path, runtime="onnxruntime") as inspector:
        for picture in list_pictures(pictures / "test"):
            (tmp_path / "frame.png").write_bytes(picture.read_bytes())
            found: dict[str, object] = {}
            exec(code, found)  # noqa: S102 - the page's own code
            expected = inspector.predict(picture)
            assert found["label"] == expected.label
            np.testing.assert_array_equal(found["mask"], expected.mask)
            labels.add(found["label"])
    assert labels == {"normal", "anomalous"}
