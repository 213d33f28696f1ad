"""A precision from an installed distribution: exported, proven and shown in help texts, with no other file edited."""

import pytest

from anomedge.bundle import Bundle, read_manifest
from anomedge.commands._arguments import spread_values
from anomedge.errors import InputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.parity.tolerances import TOLERANCES, release_tolerance
from anomedge.precisions import PRECISIONS, written
from anomedge.testing import assert_parity
from tests.conftest import FRAME
from tests.extending.distribution import install_distribution

PRECISION = """
from anomedge.precisions import Precision, Tolerance


class Rounded(Precision):
    name = "rounded"
    summary = "weights rounded to 16 bits"
    tolerance = Tolerance(
        score=2e-2, map=2e-2, batch=1e-5, pixels=1e-5, stage=2e-2
    )
    # Cut weights are all smaller than the original's, so scores err in one direction.
    typical_score = 0.5

    @classmethod
    def edit(cls, graph, stored):
        import numpy as np
        from onnx import numpy_helper

        for tensor in graph.graph.initializer:
            if tensor.name in stored and len(tensor.dims) > 1:
                values = numpy_helper.to_array(tensor).view(np.uint32)
                rounded = (values & np.uint32(0xFFFFF000)).view(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return install_distribution(
        tmp_path / "site",
        "rounded_precision",
        PRECISION,
        {"anomedge.precisions": "rounded = rounded_precision:Rounded"},
    )


def test_its_graph_is_exported_and_proven(
    site, model_paths, tmp_path, monkeypatch
):
    target = tmp_path / "part.anomedge"
    options = ExportOptions(
        frame=FRAME, batch=1, runtimes=["ort"], precisions=["rounded"]
    )
    certificate = export(model_paths["padim"], target, options)
    assert certificate.passed
    assert certificate.tolerances["rounded"] == release_tolerance("rounded")
    manifest = read_manifest(target)
    assert manifest.variants["rounded"].graph() == "model.rounded.onnx"
    assert assert_parity(target, "ort", precision="rounded").passed

    # Without the distribution, the bundle's own tolerances are not used.
    monkeypatch.undo()
    assert "rounded" not in TOLERANCES
    with pytest.raises(InputError, match="got precision 'rounded'"):
        assert_parity(Bundle.open(target), "ort", precision="rounded")


def test_commands_know_it(site):
    assert written()["rounded"] is PRECISIONS.get("rounded")
    arguments = ["export", "--precision", "fp32", "rounded", "part.safetensors"]
    assert spread_values(arguments)[1:5] == [
        "--precision", "fp32", "--precision", "rounded",
    ]  # fmt: skip
