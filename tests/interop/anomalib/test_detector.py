import hashlib

import pytest
import torch
from torch import nn

from anomedge import pipelines
from anomedge.commands.fit import command_of
from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import detector
from anomedge.interop.anomalib.detector import AnomalibConfig, AnomalibDetector
from anomedge.pipelines.base import Options
from anomedge.pipelines.model import Card, Model, licences_of, load, save
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin
from tests.interop.anomalib.registered import register

GIVEN = {"size": (16, 16), "model": "Stfpm", "version": "2.7.0"}


@pytest.fixture
def without_anomalib(monkeypatch):
    def missing(name):
        raise detector.PackageNotFoundError(name)

    monkeypatch.setattr(detector, "version", missing)


@pytest.fixture
def model_file(monkeypatch, tmp_path):
    """A model file around a stand-in for anomalib's module."""
    register(monkeypatch, tmp_path / "site")
    pipeline = AnomalibDetector(
        AnomalibConfig.checked(**GIVEN), nn.Conv2d(3, 1, 1)
    )
    origin = Origin(
        rule="false-alarm-rate", source="a test", normal=2, anomalous=0, margin=0.0, extrapolated=False,
        pictures=hashlib.sha256().hexdigest(),
    )  # fmt: skip
    decision = Decision(
        threshold=1.0, pixel_threshold=1.0, minimum=0.0, maximum=2.0, scale=1.0, origin=origin
    )  # fmt: skip
    card = Card(seed=0, fitted=(), weights="none", tools={}, licence={})
    path = tmp_path / "model.safetensors"
    save(Model(pipeline, Geometry((16, 16)), decision, card), path)
    return path


@pytest.mark.parametrize("name", ["os.system", "anomalib.models.image.stfpm.torch_model.STFPMModel", "stfpm", ""])  # fmt: skip
def test_model_is_of_the_fixed_list(name):
    with pytest.raises(InputError, match=r"expected one of: .*Stfpm"):
        AnomalibConfig.checked(**GIVEN | {"model": name})


@pytest.mark.parametrize(
    "arguments",
    [
        {"backbone": "hf-hub:someone/network"},
        {"backbone": "local-dir:/tmp/network"},
        {"backbone": "../network"},
        {"layers": ["layer1"] * 17},
        {"layers": []},
        {"pre_trained": True},
        {"class_path": "os.system"},
    ],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        AnomalibConfig.checked(**GIVEN | {"arguments": arguments})


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("Fastflow", {"flow_steps": 10**9}),
        ("Fre", {"input_dim": 1 << 40}),
        ("Rad", {"layers": [10**6]}),
        ("Ganomaly", {"n_features": -1}),
        ("Dinomaly", {"decoder_depth": 1}),
        ("EfficientAd", {"model_size": "huge"}),
        ("Dfm", {"pca_level": float("nan")}),
    ],
)
def test_sizes_are_bounded(model, arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        AnomalibConfig.checked(
            **GIVEN | {"model": model, "arguments": arguments}
        )


@pytest.mark.parametrize(
    "shapes",
    [
        {"memory_bank": (1 << 20, 1 << 20)},
        {"memory_bank": (-1,)},
        {"memory_bank": (1, 1, 1, 1, 1)},
        {"feature_extractor.conv1.weight": (1,)},
    ],
)
def test_only_tensors_of_the_fit_have_shapes_of_their_own(shapes):
    with pytest.raises(InputError, match="shapes"):
        AnomalibConfig.checked(
            **GIVEN | {"model": "Patchcore", "shapes": shapes}
        )


def test_missing_package_is_named(without_anomalib):
    with pytest.raises(ModelError, match=r"pip install '\.\[anomalib\]'"):
        AnomalibDetector.build_networks(AnomalibConfig.checked(**GIVEN))


def test_file_needs_the_package(without_anomalib, model_file):
    with pytest.raises(ModelError, match=r"pip install '\.\[anomalib\]'"):
        load(model_file)


def test_file_needs_the_release_of_its_import(monkeypatch, model_file):
    monkeypatch.setattr(detector, "version", lambda name: "2.8.1")
    with pytest.raises(
        ModelError,
        match=r"2\.8\.1 .* imported with 2\.7\.0; .*'anomalib==2\.7\.\*'",
    ):
        load(model_file)


def test_patch_release_builds(monkeypatch):
    monkeypatch.setattr(detector, "version", lambda name: "2.7.3")
    kind = pytest.importorskip("anomedge.interop.anomalib.models.stfpm").Stfpm
    monkeypatch.setattr(kind, "build", lambda arguments, size: nn.Identity())
    built = AnomalibDetector.build_networks(AnomalibConfig.checked(**GIVEN))
    assert isinstance(built["module"], nn.Identity)


def test_refusal_of_the_constructor_is_one_line(monkeypatch):
    def refuse(arguments, size):
        raise RuntimeError("layer9 is unknown\nand more")

    monkeypatch.setattr(detector, "version", lambda name: "2.7.0")
    config = AnomalibConfig.checked(
        **GIVEN | {"arguments": {"layers": ["layer9"]}}
    )
    monkeypatch.setattr(config.kind, "build", refuse)
    with pytest.raises(ModelError, match="layer9 is unknown") as caught:
        AnomalibDetector.build_networks(config)
    assert "\n" not in str(caught.value)


def test_file_is_anomedges_own(model_file):
    assert b'"distribution"' not in model_file.read_bytes()
    assert pipelines.REGISTRY.distribution("anomalib") is None


def test_shapes_of_the_fit_are_those_of_the_configuration(monkeypatch):
    class Bank(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("memory_bank", torch.empty(0))

    monkeypatch.setattr(detector, "version", lambda name: "2.7.0")
    values = GIVEN | {"model": "Patchcore", "shapes": {"memory_bank": (5, 3)}}
    config = AnomalibConfig.checked(**values)
    monkeypatch.setattr(config.kind, "build", lambda arguments, size: Bank())
    with torch.device("meta"):
        module = AnomalibDetector.build_networks(config)["module"]
    assert module.memory_bank.shape == (5, 3)
    assert module.memory_bank.is_meta


def test_it_is_imported_not_fitted(monkeypatch, tmp_path):
    register(monkeypatch, tmp_path / "site")
    with pytest.raises(
        InputError, match=r"imported, not fitted.*--with-anomalib"
    ):
        command_of("anomalib")
    with pytest.raises(InputError, match="imported, not fitted"):
        AnomalibDetector.fit(None, Options())


@pytest.mark.parametrize(
    ("model", "notice"), [("EfficientAd", "patents"), ("Padim", "")]
)
def test_the_notice_on_a_method_is_that_of_the_model(model, notice):
    config = AnomalibConfig(
        size=(256, 256), model=model, arguments={}, version="2.7.0"
    )
    made = AnomalibDetector(config, nn.Identity())
    assert notice in made.legal_notice
    assert bool(made.legal_notice) is bool(notice)
    assert ("method" in licences_of(made, "any")) is bool(notice)
