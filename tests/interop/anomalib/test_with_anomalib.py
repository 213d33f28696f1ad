from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import detector
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    StoredThresholds,
    Taken,
)
from anomedge.interop.anomalib.models.stfpm import Stfpm
from anomedge.interop.anomalib.with_anomalib import (
    detector_of,
    import_with_anomalib,
    models,
)
from anomedge.resample import Geometry

STATED = Preprocessing(Geometry((16, 24)), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


class Pair(nn.Module):
    """Stand-in for anomalib's STFPM: two networks, a score and a map."""

    def __init__(self):
        super().__init__()
        self.teacher_model = nn.Conv2d(3, 1, 1)
        self.student_model = nn.Conv2d(3, 1, 1)

    def forward(self, images):
        difference = self.teacher_model(images) - self.student_model(images)
        return SimpleNamespace(
            pred_score=difference.amax(dim=(2, 3)), anomaly_map=difference
        )


class TimmFeatureExtractor(nn.Module):
    """Stand-in for anomalib's class of this name."""

    def __init__(self, is_called=True):
        super().__init__()
        self.feature_extractor = nn.Conv2d(3, 1, 1)
        self.is_called = is_called

    def forward(self, images):
        if self.is_called:
            return self.feature_extractor(images)
        return images.mean(dim=1, keepdim=True)


class TimmPair(Pair):
    """The same around timm backbones."""

    def __init__(self, is_called=True):
        super().__init__()
        self.teacher_model = TimmFeatureExtractor()
        self.student_model = TimmFeatureExtractor(is_called)


class Source:
    """A tensor of a file."""

    def __init__(self, value):
        self.value = value
        self.dtype, self.shape = value.dtype, tuple(value.shape)

    def load(self):
        return self.value.clone()


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(detector, "version", lambda name: "2.7.0")
    monkeypatch.setattr(Stfpm, "build", lambda arguments, size: Pair())


def foreign(tensors=None, preprocessing=STATED, kind="ckpt", **arguments):
    tensors = Pair().state_dict() if tensors is None else tensors
    return ForeignModel(
        path=Path("model.ckpt"),
        digest="0" * 64,
        kind=kind,
        version="2.7",
        tensors={name: Source(value) for name, value in tensors.items()},
        arguments=arguments,
        preprocessing=preprocessing,
        thresholds=StoredThresholds(),
    )


def imported(*args, model=None, size=None, taken=None, **keywords):
    taken = Taken() if taken is None else taken
    return detector_of(foreign(*args, **keywords), model, size, taken)


def test_outputs_are_those_of_the_module():
    pair = Pair()
    found, geometry = imported(pair.state_dict())
    images = torch.rand(2, 3, 16, 24)
    result = found(images)
    expected = pair((images - 0.5) / 0.25)
    torch.testing.assert_close(result.anomaly_map, expected.anomaly_map)
    torch.testing.assert_close(result.score, expected.pred_score[:, 0])
    assert geometry == Geometry((16, 24))
    assert found.config.size == (16, 24)
    assert found.describe() == "anomalib Stfpm"


def test_timm_backbones_are_networks(monkeypatch):
    pair = TimmPair()
    monkeypatch.setattr(Stfpm, "build", lambda arguments, size: TimmPair())
    found, _ = imported(pair.state_dict())
    assert found.networks == (
        "module.teacher_model.feature_extractor",
        "module.student_model.feature_extractor",
    )
    images = torch.rand(2, 3, 16, 24)
    expected = pair((images - 0.5) / 0.25)
    torch.testing.assert_close(found(images).anomaly_map, expected.anomaly_map)


def test_a_backbone_that_is_not_called_is_no_network(monkeypatch):
    monkeypatch.setattr(Stfpm, "build", lambda arguments, size: TimmPair(False))
    found, _ = imported(TimmPair().state_dict())
    assert found.networks == ()


def test_every_source_is_said():
    taken = Taken()
    imported(taken=taken, backbone="resnet34", lr=0.1)
    lines = {line.what: (line.value, line.source) for line in taken}
    assert lines["model"] == ("Stfpm, by the names of the tensors", "file")
    assert lines["backbone"] == ("resnet34", "file")
    assert lines["layers"][1] == "table"
    assert lines["size"] == ("16x24", "file")
    assert lines["resize"][0].startswith("antialiased")
    assert "lr" not in lines


def test_hyper_parameters_are_checked():
    with pytest.raises(ModelError, match="backbone = 'hf-hub:a/b'"):
        imported(backbone="hf-hub:a/b")


def test_tensors_must_be_the_models():
    tensors = Pair().state_dict()
    tensors["student_model.extra"] = torch.zeros(1)
    with pytest.raises(
        ModelError, match=r"not those of Stfpm in anomalib 2\.7\.0.*extra"
    ):
        imported(tensors)
    with pytest.raises(ModelError, match="size mismatch"):
        imported(Pair().state_dict() | {"teacher_model.bias": torch.zeros(2)})


def test_values_must_be_finite():
    tensors = Pair().state_dict()
    tensors["teacher_model.bias"] = torch.tensor([float("nan")])
    with pytest.raises(
        ModelError, match=r"teacher_model\.bias with values that are not finite"
    ):
        imported(tensors)


def test_halves_are_widened_and_said():
    taken = Taken()
    halves = {name: value.half() for name, value in Pair().state_dict().items()}
    found, _ = imported(halves, taken=taken)
    assert {v.dtype for v in found.state_dict().values()} == {torch.float32}
    assert "float32, converted from float16" in "".join(map(str, taken))


def test_model_is_chosen_among_the_fitting_ones():
    assert imported(model="stfpm")[0].config.model == "Stfpm"
    with pytest.raises(ModelError, match="which has other tensors"):
        imported(model="Padim")
    with pytest.raises(InputError, match="got the model 'os'"):
        imported(model="os")


def test_graph_is_refused():
    with pytest.raises(
        ModelError, match="an exported graph; expected a checkpoint"
    ):
        imported(kind="onnx")


def test_size_of_the_file_is_kept():
    assert imported(size=(16, 24))[1] == Geometry((16, 24))
    with pytest.raises(
        InputError, match=r"got --size 32x32 for a file that states 16x24"
    ):
        imported(size=(32, 32))


def test_size_comes_from_the_table_for_defaults_only():
    default = Preprocessing(source="table")
    found, geometry = imported(preprocessing=default)
    assert geometry == Geometry((256, 256))
    assert found.config.mean == pytest.approx((0.485, 0.456, 0.406))
    with pytest.raises(InputError, match="give --size, by default 256x256"):
        imported(preprocessing=Preprocessing())
    assert imported(preprocessing=Preprocessing(), size=(32, 40))[1].size == (
        32,
        40,
    )


def test_package_is_asked_for_before_the_file(monkeypatch):
    def missing(name):
        raise detector.PackageNotFoundError(name)

    monkeypatch.setattr(detector, "version", missing)
    with pytest.raises(ModelError, match="which is not installed"):
        import_with_anomalib(Path("missing.ckpt"))


def test_models_are_listed():
    assert {"EfficientAd", "Dinomaly", "Cflow"} <= set(models())
