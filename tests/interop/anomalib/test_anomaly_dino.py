"""AnomalyDINO of anomalib: score and map by its formulas, and files that are refused."""

import pytest
import timm
import torch
import torch.nn.functional as F

from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder, formulas
from tests.interop.anomalib.comparing import images_of
from tests.interop.anomalib.refusing import refused

ENCODER = "test_vit3"  # of 96 features, patches of 16 pixels, 10x10 of them
GRID = (2, 3)
PREFIX = "feature_encoder.feature_extractor."


def encoder(**options):
    torch.manual_seed(3)
    return timm.create_model(
        ENCODER, num_classes=0, global_pool="", **options
    ).eval()


def state_of(**changed):
    network = encoder()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    state = {PREFIX + key: x for key, x in network.state_dict().items()}
    bank = F.normalize(torch.randn(20, 96), dim=1)
    state["memory_bank"] = bank
    state["anomaly_map_generator.blur.kernel"] = builder.blur_kernel()
    return state | changed


def content_of(state, interpolation="bilinear", **changed):
    transform = builder.transform_spec()
    resize = transform["init_args"]["transforms"][0]
    resize["init_args"]["interpolation"] = interpolation
    content = builder.checkpoint_27("padim", state, {"transform": transform})
    arguments = {"encoder_name": ENCODER, "masking": False}
    content["hyper_parameters"] = arguments | {"num_neighbours": 1} | changed
    return content


def tokens_of(state, images):
    """The patch tokens (B, N, d) in float64; positions resized without antialiasing, as anomalib does."""
    network = encoder(img_size=builder.SIZE)
    own = {
        key.removeprefix(PREFIX): x
        for key, x in state.items()
        if key.startswith(PREFIX)
    }
    first, rest = own["pos_embed"][:, :1], own["pos_embed"][:, 1:]
    square = rest.reshape(1, 10, 10, 96).permute(0, 3, 1, 2)
    resized = F.interpolate(square, GRID, mode="bicubic", antialias=False)
    resized = resized.flatten(2).transpose(1, 2)
    own["pos_embed"] = torch.cat([first, resized], dim=1)
    network.load_state_dict(own)
    mean, std = (
        torch.tensor(x, dtype=torch.float64)[None, :, None, None]
        for x in (builder.MEAN, builder.STD)
    )
    with torch.no_grad():
        scaled = (images.double() - mean) / std
        return network.double().forward_features(scaled)[:, 1:]


def expected_of(state):
    """Score and map of anomalib's eager model in float64."""
    tokens = tokens_of(state, images_of(builder.SIZE))
    bank = state["memory_bank"].double()
    cosines = F.normalize(tokens, dim=2) @ bank.T
    distances = (1 - cosines).amin(dim=2)
    grid = distances.reshape(-1, 1, *GRID)
    score = distances.amax(dim=1)  # a hundredth of 6 patches is one
    large = F.interpolate(grid, size=builder.SIZE)
    return score, formulas.blurred(large)


def test_score_and_map_are_those_of_anomalib(tmp_path):
    state = state_of()
    imported = import_native(builder.saved(content_of(state), tmp_path))
    assert imported.pipeline.name == "anomaly_dino"
    assert imported.pipeline.config.layers == ("blocks.8",)
    with torch.no_grad():
        found = imported.pipeline(images_of(builder.SIZE))
    for values, wanted in zip(found, expected_of(state), strict=True):
        error = (values - wanted).abs().max()
        assert error < 1e-5 * (wanted.max() - wanted.min())


def test_a_bicubic_resize_becomes_bilinear_and_the_import_says_so(tmp_path):
    content = content_of(state_of(), "bicubic")
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.geometry.image == builder.SIZE
    lines = [x for x in imported.taken if x.what == "difference from anomalib"]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"masking": True}, "got masking True"),
        ({"num_neighbours": 3}, "got num_neighbours 3.*--with-anomalib"),
        ({"encoder_name": None}, "got the backbone None"),
        ({"encoder_name": "test_vit"}, "test_vit"),
        ({"encoder_name": "resnet18"}, "expected one stride in all layers"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(), **changed), tmp_path, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"memory_bank": torch.empty(0)}, "empty tensor memory_bank"),
        ({"memory_bank": torch.eye(5)}, "with 5 features; expected 96"),
        ({"memory_bank": torch.full((2, 96), 0.5)}, "of lengths 4.89"),
        ({f"{PREFIX}norm.weight": torch.rand(3)}, r"of shape \(3,\)"),
        ({f"{PREFIX}head.weight": torch.rand(3)}, "head.weight, which"),
        ({f"{PREFIX}pos_embed": torch.zeros(1, 7, 96)}, r"of shape \(1, 7, 96\)"),
    ],
)  # fmt: skip
def test_tensors_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(**changed)), tmp_path, match)
