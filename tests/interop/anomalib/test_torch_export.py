"""Exported torch modules, as records."""

import pytest

from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import errors_of
from tests.interop.anomalib.refusing import refused


def test_modules_in_themselves_are_refused(tmp_path, monkeypatch):
    content = builder.module_2(monkeypatch, "patchcore")
    model = content["model"].model
    model._modules["again"] = model
    refused(content, tmp_path, "nested over")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("padim", builder.module_2),
        ("patchcore", builder.module_2),
        ("patchcore", builder.module_1),
    ],
)
def test_an_exported_module_is_the_model_of_its_checkpoint(
    name, make, tmp_path, monkeypatch
):
    content = make(monkeypatch, name)
    path = builder.saved(content, tmp_path, "model.pt")
    imported = import_native(path)
    assert imported.foreign.kind == "pt"
    size = imported.geometry.image
    assert max(errors_of(imported.pipeline, path, size)) < 1e-5
    assert imported.thresholds.image_threshold in (3.5, 5.0)
