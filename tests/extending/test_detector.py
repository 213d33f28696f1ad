"""Detectors from outside the package: from an installed distribution, and from a file beside anomedge's own."""

import json
import subprocess
import sys
import warnings

import pytest
import torch

from anomedge import pipelines
from anomedge.bundle import Bundle
from anomedge.errors import InputError, ModelError
from anomedge.export.bundling import ExportOptions, export
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry
from tests.conftest import FRAME
from tests.extending.distribution import (
    environment_with,
    install_distribution,
)

MEAN_FEATURE = '''
import torch
from pydantic import Field

from anomedge.pipelines.features import (
    FeatureConfig,
    FeatureOptions,
    FeaturePipeline,
)
from anomedge.pipelines.maps import map_resampling, map_sizes


class ToyOptions(FeatureOptions):
    center_share: float = Field(
        1.0, gt=0, le=1, description="Share of the mean to subtract."
    )


class Toy(FeaturePipeline):
    """Distance to the mean feature."""

    name = "toy"
    config_class = FeatureConfig
    options_class = ToyOptions
    default_backbone = "test_efficientnet"
    default_strides = (8,)

    def __init__(self, config, extractor):
        super().__init__(config, extractor)
        (self.grid,) = map_sizes(extractor, config.size)
        self.register_buffer("center", torch.zeros(extractor.channels[0]))
        self.to_map = map_resampling(self.grid, config.size, config.sigma)

    @classmethod
    def fit(cls, data, options):
        extractor = cls.build_extractor(data, options)
        config = FeatureConfig.of(extractor, data.size, sigma=options.sigma)
        pipeline = cls(config, extractor).eval()
        with torch.no_grad():
            for _ in range(2):  # two passes over the data
                maps = [pipeline.patches(images) for images in data]
        mean = torch.cat(maps).mean(dim=(0, 2, 3))
        pipeline.center.copy_(options.center_share * mean)
        return pipeline

    def patches(self, images):
        return self.features(images)[self.config.layers[0]]

    def stages(self, images):
        features = self.patches(images)
        offset = features - self.center[None, :, None, None]
        distances = offset.square().sum(dim=1, keepdim=True).sqrt()
        anomaly_map = self.to_map(distances)
        return {
            f"features/{self.config.layers[0]}": features,
            "distances": distances,
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }
'''

TWO_NETWORKS = '''
import torch
from torch import nn

from anomedge.pipelines import Config, Options, Pipeline


class Pair(Pipeline):
    """Difference of a teacher and a student."""

    name = "pair"
    config_class = Config
    options_class = Options
    networks = ("teacher", "student")

    def __init__(self, config, **networks):
        super().__init__(config, **networks)
        self.register_buffer("scale", torch.ones(1, 4, 1, 1))

    @classmethod
    def build_networks(cls, config, backbone=None):
        def network():
            return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())

        return {"teacher": network(), "student": network()}

    @classmethod
    def fit(cls, data, options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            config = Config(size=data.size)
            pipeline = cls(config, **cls.build_networks(config)).eval()
        count = 0
        for images in data:
            count += len(images)
        assert count == sum(map(len, data))
        return pipeline

    def stages(self, images):
        teacher, student = self.teacher(images), self.student(images)
        offset = (teacher - student) * self.scale
        anomaly_map = offset.square().mean(dim=1, keepdim=True)
        return {
            "features/teacher": teacher,
            "features/student": student,
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }
'''

POINTS = {"anomedge.pipelines": "toy = toy_detector:Toy"}


@pytest.fixture
def anomedge(tmp_path):
    """Run a command in a process that has the distribution on its path."""
    site = tmp_path / "site"

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "anomedge", *map(str, arguments)],
            cwd=tmp_path,
            env=environment_with(site),
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def forget_plugins():
    """Forget modules that tests put below `anomedge.pipelines`."""
    yield
    sys.modules.pop("anomedge.pipelines.pair", None)


@pytest.mark.slow
def test_an_installed_detector_goes_the_whole_way(anomedge, pictures, tmp_path):
    install_distribution(
        tmp_path / "site", "toy_detector", MEAN_FEATURE, POINTS
    )
    listed = anomedge("fit", "--help")
    assert "Distance to the mean feature." in listed.stdout
    shown = anomedge("fit", "toy", "--help")
    assert "--center-share" in shown.stdout
    assert "--coreset" not in shown.stdout
    steps = [
        ["fit", "toy", pictures / "train", "-o", "m.safetensors", "--size", "64x72",
         "--weights", "random", "--held-back", pictures / "held_back", "--center-share", "0.9"],
        ["export", "m.safetensors", "-o", "b.anomedge", "--frame", "x".join(map(str, FRAME)),
         "--golden", pictures / "test", "--precision", "fp32", "fp16", "--runtime", "onnxruntime"],
        ["verify", "b.anomedge", "--model", "m.safetensors", "--images", pictures / "test",
         "--runtime", "onnxruntime", "--batch", "1"],
        ["predict", "b.anomedge", pictures / "test", "--runtime", "onnxruntime", "--json"],
        ["inspect", "m.safetensors"],
    ]  # fmt: skip
    for step in steps:
        done = anomedge(*step)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    manifest = json.loads((tmp_path / "b.anomedge/manifest.json").read_text())
    assert manifest["detector"] == "toy"


def test_a_model_names_the_distribution_of_its_detector(
    pictures, tmp_path, monkeypatch
):
    site = install_distribution(
        tmp_path / "site", "toy_detector", MEAN_FEATURE, POINTS
    )
    path = tmp_path / "model.safetensors"
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(site))
        options = FitOptions(Geometry((64, 64)), detector={"weights": "random"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            save(fit("toy", pictures / "train", options), path)
        assert load(path).pipeline.name == "toy"
    sys.modules.pop("toy_detector")
    with pytest.raises(
        ModelError,
        match=r"detector 'toy' of the distribution toy_detector; .* install",
    ):
        load(path)


@pytest.mark.slow
def test_a_broken_plugin_affects_no_other_detector(anomedge, tmp_path):
    install_distribution(
        tmp_path / "site", "toy_detector", "raise OSError('no license')", POINTS
    )
    listed = anomedge("fit", "--help")
    assert listed.returncode == 0
    assert "padim" in listed.stdout
    assert "Cannot be used" in listed.stdout
    failed = anomedge("fit", "toy", ".", "-o", "m.safetensors")
    assert failed.returncode == 2
    assert "of toy_detector cannot be loaded (OSError: no license)" in " ".join(
        failed.stderr.split()
    )


def test_a_detector_with_two_networks_is_a_file_beside_the_others(
    pictures, tmp_path, monkeypatch, forget_plugins
):
    (tmp_path / "pair.py").write_text(TWO_NETWORKS)
    monkeypatch.setattr(
        pipelines, "__path__", [*pipelines.__path__, str(tmp_path)]
    )
    assert {"padim", "pair", "patchcore"} <= set(pipelines.available())
    options = FitOptions(Geometry((32, 40)), held_back=pictures / "held_back")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fitted = fit("pair", pictures / "train", options)
        path = tmp_path / "model.safetensors"
        save(fitted, path)
        images = torch.rand(2, 3, 32, 40)
        with torch.no_grad():
            again = load(path).pipeline(images).score
            assert torch.equal(again, fitted.pipeline(images).score)
        certificate = export(
            path,
            tmp_path / "b.anomedge",
            ExportOptions(
                frame=FRAME,
                golden=[pictures / "test"],
                precisions=["fp32", "fp16"],
                batches=[1],
                runtimes=["onnxruntime"],
            ),
        )
    assert certificate.passed
    bundle = Bundle.open(tmp_path / "b.anomedge")
    layers = [r.name for r in bundle.manifest.ranges if r.part == "backbone"]
    assert any(name.startswith("teacher.") for name in layers)
    assert any(name.startswith("student.") for name in layers)


def test_an_option_of_another_detector_is_refused(pictures):
    options = FitOptions(Geometry((64, 64)), detector={"coreset": 0.1})
    with pytest.raises(
        InputError, match=r"got the option coreset; expected one of: .*features"
    ):
        fit("padim", pictures / "train", options)


def test_a_buffer_of_a_base_class_cannot_be_replaced(model_paths):
    pipeline = load(model_paths["padim"]).pipeline
    with pytest.raises(TypeError, match="has a buffer 'mean' already"):
        pipeline.register_buffer("mean", torch.zeros(3))
