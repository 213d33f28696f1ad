"""EfficientAD of anomalib: score and map by its formulas, and files that are refused."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib import import_native
from anomedge.interop.import_file import ImportOptions, import_file
from anomedge.pipelines import FitData
from tests.interop.anomalib import builder
from tests.interop.anomalib.refusing import refused
from tests.pipelines.descriptions import images_of, made, prediction

SIZE = (256, 256)
NAMES = {
    "autoencoder.encoder.conv": "ae.encoder.enconv",
    "autoencoder.decoder.conv": "ae.decoder.deconv",
    "teacher_mean": "mean_std.mean",
    "teacher_std": "mean_std.std",
}


def state_of(pipeline):
    """The tensors of a detector as anomalib's model names them."""
    state = pipeline.state_dict()
    quantiles = state.pop("quantiles")
    for row, which in enumerate(("st", "ae")):
        for column, end in enumerate(("qa", "qb")):
            value = quantiles[row, column].clone()
            state[f"quantiles.{end}_{which}"] = value
    for own, theirs in NAMES.items():
        state = {k.replace(own, theirs): x for k, x in state.items()}
    return state


def content_of(state, size=SIZE, extra=(), **changed):
    resize = builder.transform_spec()["init_args"]["transforms"][0]
    resize["init_args"]["size"] = list(size)
    compose = builder.spec("Compose", transforms=[resize, *extra])
    content = builder.checkpoint_27("padim", state, {"transform": compose})
    arguments = {
        "imagenet_dir": "./datasets/imagenette",
        "teacher_out_channels": 5,
        "model_size": "small",
        "padding": False,
        "pad_maps": True,
    }
    content["hyper_parameters"] = arguments | changed
    return content


@pytest.fixture(scope="module")
def state():
    return state_of(made(size=SIZE))


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"padding": True},
        {"padding": True, "pad_maps": False},
        {"model_size": "medium", "pad_maps": False},
    ],
    ids=lambda fields: " ".join(fields) or "default",
)
def test_score_and_map_are_those_of_anomalib(fields, tmp_path):
    pipeline, images = made(size=SIZE, **fields), images_of(2, SIZE)
    images[1] /= 2
    pipeline.prepare(FitData([images], size=SIZE))
    content = content_of(state_of(pipeline), **fields)
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.pipeline.config == pipeline.config
    padding = {k: v for k, v in fields.items() if k != "model_size"}
    score, anomaly_map = prediction(pipeline.state_dict(), images, **padding)
    with torch.no_grad():
        found = imported.pipeline(images)
    spread, reach = (float(x.max() - x.min()) for x in (score, anomaly_map))
    assert (found.score - score).abs().max() < 1e-5 * spread
    assert (found.anomaly_map - anomaly_map).abs().max() < 1e-5 * reach


def test_tensors_keep_their_places(state, tmp_path):
    imported = import_native(builder.saved(content_of(state), tmp_path))
    again = state_of(imported.pipeline)
    assert again.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(again[name], tensor), name
    assert imported.geometry.image == SIZE


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean_std.std": torch.zeros(1, 5, 1, 1)}, "not fitted"),
        ({"mean_std.mean": torch.zeros(1, 4, 1, 1)}, "one number per channel"),
        ({"quantiles.qb_ae": torch.tensor(0.0)}, "not validated"),
        ({"ae.encoder.enconv6.bias": torch.zeros(3)}, "conv6.bias of shape"),
    ],
)
def test_tensors_that_cannot_be_used_are_refused(
    state, changed, message, tmp_path
):
    refused(content_of(state | changed), tmp_path, message)


def test_files_that_cannot_be_built_are_refused(state, tmp_path):
    content = content_of(state, padding="yes")
    refused(content, tmp_path, "got padding 'yes'")
    scaling = builder.spec("Normalize", mean=builder.MEAN, std=builder.STD)
    content = content_of(state, extra=[scaling])
    refused(content, tmp_path, "scale images themselves")
    refused(content_of(state, (128, 256)), tmp_path, "least 256x256")


def test_a_file_without_one_of_the_networks_is_another_model(state, tmp_path):
    for owner in ("teacher.", "student.", "ae.decoder."):
        others = {k: x for k, x in state.items() if not k.startswith(owner)}
        refused(content_of(others), tmp_path, "expected those of one of")
    more = state | {"mean_std.median": torch.zeros(1)}
    refused(content_of(more), tmp_path, "expected those of one of")


def test_deviations_beyond_float32_are_refused(state, tmp_path):
    changed = state | {"mean_std.std": torch.full((1, 5, 1, 1), 1e-38)}
    path = builder.saved(content_of(changed), tmp_path)
    with pytest.raises(ModelError, match="expected a finite one"):
        import_file(path, ImportOptions())
