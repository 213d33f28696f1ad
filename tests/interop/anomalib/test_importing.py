"""Detectors built from synthetic files of every version: numbers, preprocessing, thresholds."""

from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import available, import_native
from anomedge.pipelines.model import Card, Model, load, save
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin
from tests.interop.anomalib import builder
from tests.interop.anomalib.comparing import errors_of, images_of, taken_from

DETECTORS = ("padim", "patchcore", "stfpm")
SHARED = Path(__file__).parents[4] / "shared" / "data" / "checkpoints"


@pytest.fixture(scope="module", params=DETECTORS)
def checkpoint(request, tmp_path_factory):
    """A checkpoint of 2.7 and its detector's name."""
    folder = tmp_path_factory.mktemp("checkpoint")
    content = builder.checkpoint_27(request.param)
    return builder.saved(content, folder), request.param


def test_score_and_map_are_those_of_the_formula(checkpoint):
    path, name = checkpoint
    imported = import_native(path)
    assert imported.pipeline.name == name
    assert max(errors_of(imported.pipeline, path, builder.SIZE)) < 1e-5


def test_an_imported_model_is_stored_and_read_again(checkpoint, tmp_path):
    path, _ = checkpoint
    imported = import_native(path)
    origin = Origin(
        rule="f1",
        source="s",
        normal=1,
        anomalous=1,
        margin=0.0,
        extrapolated=False,
        pictures="",
    )
    decision = Decision(
        threshold=1,
        pixel_threshold=1,
        minimum=0,
        maximum=1,
        scale=1,
        origin=origin,
    )
    card = Card(seed=0, fitted=(), weights="w", tools={}, licence={})
    whole = Model(imported.pipeline, imported.geometry, decision, card)
    save(whole, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors").pipeline
    images = images_of(builder.SIZE)
    assert again.config == imported.pipeline.config
    assert torch.equal(again(images)[1], imported.pipeline(images)[1])


def test_everything_of_27_comes_from_the_file(checkpoint):
    path, _ = checkpoint
    imported = import_native(path)
    assert imported.version == "2.7"
    assert imported.geometry == Geometry(builder.SIZE)
    assert {line.source for line in imported.taken} == {"file"}
    thresholds = imported.thresholds
    assert thresholds.image_threshold == 5.0
    assert thresholds.pixel_threshold is None
    assert (thresholds.pixel_min, thresholds.pixel_max) == (1.0, 7.5)
    assert thresholds.pixel_sensitivity == 0.25
    assert thresholds.threshold_matching is True


def test_a_size_that_contradicts_the_file_is_refused(checkpoint):
    path, _ = checkpoint
    with pytest.raises(InputError, match="leave out --size"):
        import_native(path, size=(64, 64))
    assert import_native(path, size=builder.SIZE).geometry.size == builder.SIZE


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (True, Geometry(builder.SIZE, builder.CROP)),
        (False, Geometry((256, 256), (224, 224))),
    ],
)
def test_version_1_states_its_transform_or_has_a_cropped_default(
    given, expected, tmp_path
):
    crop = v2.CenterCrop(builder.CROP)
    stated = builder.transform(crop) if given else None
    content = builder.checkpoint_1("patchcore", stated)
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.version == "1.2"
    assert imported.geometry == expected
    assert imported.thresholds.image_threshold == 3.5
    assert imported.thresholds.pixel_max == 5.0


def test_names_of_wrapped_networks_are_accepted(checkpoint, tmp_path):
    path, name = checkpoint
    state = {
        key.replace(".feature_ex", ".module.feature_ex"): x
        for key, x in builder.model_state(name).items()
    }
    content = builder.checkpoint_27(name, state)
    wrapped = import_native(builder.saved(content, tmp_path)).pipeline
    images = images_of(builder.SIZE)
    plain = import_native(path).pipeline
    assert torch.equal(wrapped(images)[0], plain(images)[0])


def test_an_unfitted_flag_is_said(tmp_path):
    content = builder.checkpoint_27("patchcore")
    content["state_dict"]["_is_fitted"] = torch.tensor([False])
    imported = import_native(builder.saved(content, tmp_path))
    assert taken_from(imported, "fitted") == ["file"]


def test_available_detectors_have_a_file_each():
    assert available() == [
        "anomaly_dino",
        "dfkde",
        "dfm",
        "efficient_ad",
        "fastflow",
        "padim",
        "patchcore",
        "reverse_distillation",
        "stfpm",
    ]


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared checkpoints are not at hand"
)
@pytest.mark.parametrize(
    ("file", "version", "image"),
    [
        ("anomalib-1.2.0-patchcore", "1.2", (56, 56)),
        ("anomalib-2.3.3-padim", "2.3 to 2.6", (64, 64)),
        ("anomalib-2.3.3-patchcore", "2.3 to 2.6", (64, 64)),
        ("anomalib-2.6.2-patchcore", "2.3 to 2.6", (64, 64)),
    ],
)
def test_real_checkpoints_give_the_scores_of_the_formula(file, version, image):
    path = SHARED / f"{file}.ckpt"
    imported = import_native(path)
    assert (imported.version, imported.geometry.image) == (version, image)
    assert max(errors_of(imported.pipeline, path, image)) < 1e-5


def test_a_stranger_to_both_readers_is_refused(tmp_path):
    path = builder.saved({"weights": torch.zeros(3)}, tmp_path)
    with pytest.raises(ModelError, match="expected one of `anomalib export"):
        import_native(path)
