"""What docs/integrate.md tells integrators, done as written."""

import re
from pathlib import Path

import numpy as np

from anomedge import Inspector
from anomedge.images import list_pictures, read_picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.runtimes.imports import import_openvino

ROOT = Path(__file__).parent.parent
HINT = '{"INFERENCE_PRECISION_HINT": "f32"}'


def test_the_documented_line_computes_in_float32(
    detector, bundle, bundle_paths, pictures
):
    openvino = import_openvino()
    from anomedge.runtimes.ov import _core

    (line,) = re.findall(
        r"```python\n(.*?)\n```",
        (ROOT / "docs" / "integrate.md").read_text(encoding="utf-8"),
    )
    assert HINT in line and HINT in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )
    given = {"core": _core()}
    exec(  # noqa: S102
        line.replace(
            "openvino/model.xml", str(bundle.file("openvino/model.xml"))
        ),
        given,
    )
    compiled = given["compiled"]
    assert (
        compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    )
    frames = np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")]
    )
    with Inspector.open(
        bundle_paths[detector], runtime="onnxruntime"
    ) as inspector:
        expected = np.array(
            [result.score for result in inspector.predict(frames)]
        )
    allowed = TOLERANCES["fp32"].score * bundle.manifest.decision.scale
    assert np.abs(compiled(frames)["score"] - expected).max() <= allowed
