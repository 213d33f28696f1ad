"""The preprocessing of an exported graph."""

import numpy as np
import pytest

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import import_native
from anomedge.resample import Geometry
from tests.interop.anomalib import builder, graphs


def test_a_graph_for_any_size_needs_a_size(tmp_path):
    path = graphs.write(
        "patchcore", tmp_path / "model.onnx", True, ("height", "width")
    )
    with pytest.raises(InputError, match="any size") as caught:
        import_native(path)
    assert "--size" in str(caught.value)
    assert import_native(path, size=(64, 64)).geometry == Geometry((64, 64))


def test_a_resize_in_the_graph_states_the_size(tmp_path):
    path = graphs.write(
        "patchcore",
        tmp_path / "model.onnx",
        True,
        ("height", "width"),
        resize=np.array(builder.SIZE),
    )
    imported = import_native(path)
    lines = {line.what: line.source for line in imported.taken}
    assert imported.geometry == Geometry(builder.SIZE)
    assert (lines["size"], lines["resize"]) == ("file", "computed")


def test_a_crop_in_the_graph_is_refused(tmp_path):
    path = graphs.write(
        "patchcore", tmp_path / "model.onnx", True, before=[("Slice", "a")]
    )
    with pytest.raises(ModelError, match="expected no crop"):
        import_native(path)
