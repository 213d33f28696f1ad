"""Exported torch modules, as records."""

from pathlib import Path

import pytest

from anomedge.errors import ModelError
from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.torch_export import torch_export
from anomedge.interop.archive import Record
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


def record(path, **state):
    module, _, name = path.rpartition(".")
    return Record(module, name, state=state)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "without a module named `model`"),
        ({"model": {"weights": 1}}, "without a module named `model`"),
        ({"model": record("torch.nn.Linear")}, "got a module torch.nn.Linear"),
        (
            {"model": record("anomalib.models.image.padim.Padim", _modules={})},
            "without its torch model",
        ),
    ],
)
def test_other_modules_are_refused(content, said):
    with pytest.raises(ModelError, match=said):
        torch_export(Path("m.pt"), "d", content)


def of_version_2(hparams=None, **modules):
    inner = record(
        "anomalib.models.image.padim.torch_model.PadimModel",
        backbone="resnet18",
        _private=1,
        training=False,
    )
    whole = record(
        "anomalib.models.image.padim.lightning_model.Padim",
        _modules={"model": inner} | modules,
        _hparams=hparams or {},
    )
    return torch_export(Path("m.pt"), "d", {"model": whole})


def test_plain_attributes_are_arguments_and_hyper_parameters_count_before():
    found = of_version_2({"backbone": "resnet50"})
    assert found.arguments == {"backbone": "resnet50"}
    assert of_version_2().arguments == {"backbone": "resnet18"}
    assert found.class_name == "Padim"
    assert (found.kind, found.fitted) == ("pt", None)


@pytest.mark.parametrize(
    ("hparams", "version"),
    [({"pre_processor": True}, "2.3 to 2.6"), ({"layers": ["a"]}, "2.7")],
)
def test_the_version_follows_from_the_hyper_parameters(hparams, version):
    assert of_version_2(hparams).version == version


def test_sensitivities_are_attributes_of_the_post_processor():
    path = "anomalib.post_processing.post_processor.PostProcessor"
    processor = record(path, image_sensitivity=0.25)
    found = of_version_2(post_processor=processor)
    assert found.thresholds.image_sensitivity == 0.25
    assert found.thresholds.image_threshold is None


def test_a_module_of_version_1_has_its_thresholds_beside_it():
    inner = record("anomalib.models.image.padim.torch_model.PadimModel")
    path = "anomalib.deploy.export.InferenceModel"
    whole = record(path, _modules={"model": inner})
    metadata = {
        "image_threshold": 3.5,
        "pred_scores.min": 1.0,
        "pred_scores.max": 4.0,
    }
    found = torch_export(Path("m.pt"), "d", {"model": whole, "metadata": metadata})  # fmt: skip
    assert (found.version, found.class_name) == ("1.2", "Padim")
    assert found.thresholds.image_threshold == 3.5
    assert found.thresholds.image_max == 4.0
    assert found.preprocessing.note == "the file does not hold its transform"
