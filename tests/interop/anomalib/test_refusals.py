"""Files that are refused: other models, unfitted ones, other transforms, hostile values."""

import pytest
import torch
from torchvision.transforms import v2

from anomedge.errors import AnomedgeError, InputError, ModelError
from anomedge.interop.anomalib import Taken, import_native, read_foreign
from anomedge.interop.anomalib.models import REGISTRY
from anomedge.interop.raw_thresholds import levels, raw_threshold
from tests.interop.anomalib import builder

SPEC = builder.spec


def refused(content, tmp_path, match, **options):
    """Import a file; its message is one line that names the file."""
    path = builder.saved(content, tmp_path)
    with pytest.raises(AnomedgeError, match=match) as caught:
        import_native(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "expected" in message


def tensors_of(model):
    """Tensors of the names that a model of anomalib is known by."""
    names = [pattern.replace("*", "weight") for pattern in model.keys]
    return {name: torch.ones(2) for name in names}


@pytest.mark.parametrize(
    "name", sorted(set(REGISTRY.names()) - {"Padim", "Patchcore"})
)
def test_another_model_is_named(name, tmp_path):
    tensors = tensors_of(REGISTRY.get(name))
    path = builder.saved(builder.checkpoint_27("padim", tensors), tmp_path)
    with pytest.raises(ModelError, match=rf"{name}.*--with-anomalib"):
        import_native(path)


@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_tensors_beside_those_of_a_detector_need_a_choice(name, tmp_path):
    """A model that is derived from another one is not imported as that one."""
    state = builder.model_state(name) | {"another": torch.ones(2)}
    content = builder.checkpoint_27(name, state)
    refused(content, tmp_path, "no known model .*--detector")


def test_an_unknown_model_is_refused(tmp_path):
    content = builder.checkpoint_27("padim", {"a": torch.ones(2)})
    refused(content, tmp_path, "no known model of anomalib")


def test_ambiguous_tensors_need_a_choice(tmp_path, monkeypatch):
    from anomedge.interop.anomalib.padim import ImportedPadim

    path = builder.saved(builder.checkpoint_27("patchcore"), tmp_path)
    monkeypatch.setattr(ImportedPadim, "matches", lambda foreign: True)
    with pytest.raises(ModelError, match=r"padim, patchcore.*--detector"):
        import_native(path)
    assert import_native(path, "patchcore").pipeline.name == "patchcore"


def test_an_unknown_detector_is_refused(tmp_path):
    content = builder.checkpoint_27("padim")
    refused(content, tmp_path, "'other'", detector="other")


def test_a_chosen_detector_needs_its_tensors(tmp_path):
    content = builder.checkpoint_27("padim")
    refused(content, tmp_path, "no tensor memory_bank", detector="patchcore")


@pytest.mark.parametrize("key", ["gaussian.mean", "idx"])
def test_an_unfitted_padim_is_refused(key, tmp_path):
    state = builder.model_state("padim") | {key: torch.empty(0)}
    content = builder.checkpoint_27("padim", state)
    refused(content, tmp_path, f"empty tensor {key}")


@pytest.mark.parametrize(
    ("bank", "match"),
    [
        (torch.empty(0), "empty tensor memory_bank"),
        (torch.rand(4, 99), "99 features"),
        (torch.rand(4, 2, 2), "expected 2 dimensions"),
        (torch.full((4, 384), torch.nan), "not finite"),
        (torch.ones(4, 384, dtype=torch.int64), "floating point"),
        (torch.rand(1, 384), "bank of one vector"),
    ],
)
def test_a_bank_that_cannot_be_used_is_refused(bank, match, tmp_path):
    state = builder.model_state("patchcore") | {"memory_bank": bank}
    content = builder.checkpoint_27("patchcore", state)
    refused(content, tmp_path, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"idx": torch.arange(12) + 181}, "below 192"),
        ({"idx": torch.arange(12) // 2}, "different ones"),
        ({"idx": torch.arange(12.0)}, "expected int64"),
        ({"idx": torch.arange(11)}, r"expected \(d,\)"),
        ({"gaussian.mean": torch.rand(12, 95)}, r"expected \(d,\)"),
        (
            {"gaussian.inv_covariance": -torch.eye(12).repeat(96, 1, 1)},
            "not positive definite",
        ),
        (
            {"anomaly_map_generator.blur.kernel": torch.rand(1, 1, 33, 33)},
            "Gaussian of sigma 4",
        ),
    ],
)
def test_statistics_that_do_not_fit_are_refused(changed, match, tmp_path):
    state = builder.model_state("padim") | changed
    refused(builder.checkpoint_27("padim", state), tmp_path, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"backbone": "hf-hub:a/b"}, "the name of a timm architecture"),
        ({"backbone": "no_such_network"}, "no_such_network"),
        ({"backbone": 3}, "the name of a timm architecture"),
        ({"backbone": "vit_tiny_patch16_224"}, "a transformer"),
        ({"backbone": "resnet34"}, "of resnet34"),
        ({"layers": "layer2"}, "expected names such as"),
        ({"layers": [2, 3]}, "expected names such as"),
        ({"layers": ["layer3", "layer2"]}, "finest first"),
        ({"layers": ["layer2"]}, "which resnet18 with these layers lacks"),
        ({"num_neighbors": 0}, "expected 1 to 1024"),
        ({"num_neighbors": 10**30}, "expected 1 to 1024"),
        ({"num_neighbors": True}, "expected 1 to 1024"),
        ({"num_neighbors": "9"}, "expected 1 to 1024"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(changed, match, tmp_path):
    content = builder.checkpoint_27("patchcore", **changed)
    refused(content, tmp_path, match)


@pytest.mark.parametrize("missing", [True, False])
def test_a_tensor_of_the_backbone_is_named(missing, tmp_path):
    state = builder.model_state("padim")
    key = "feature_extractor.feature_extractor.layer1.0.conv1.weight"
    state[key] = torch.ones(3)
    if missing:
        del state[key]
    content = builder.checkpoint_27("padim", state)
    refused(content, tmp_path, r"layer1\.0\.conv1\.weight")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (SPEC("Resize", size=[32], antialias=True), "keeps the aspect ratio"),
        (SPEC("Resize", size=32, antialias=True), "keeps the aspect ratio"),
        (SPEC("Resize", size=[32, 48], antialias=False), "without antialias"),
        (SPEC("Resize", size=[0, 48], antialias=True), "height and width"),
        (
            SPEC("Resize", size=[8, 8], interpolation="bicubic"),
            "interpolation 'bicubic'",
        ),
        (SPEC("CenterCrop", size=[8, 8]), "out of order"),
        (SPEC("RandomHorizontalFlip", p=0.5), "RandomHorizontalFlip"),
        (SPEC("Compose", transforms=3), "Compose without transforms"),
        (SPEC("Normalize", mean=[0, 0], std=[1, 1]), "three numbers"),
        (SPEC("Normalize", mean=[0] * 3, std=[0] * 3), "three numbers"),
        ({"class_path": "os.system", "init_args": {}}, "os.system"),
        ({"class_path": 3}, "got the transform dict"),
        (3, "got the transform int"),
    ],
)
def test_a_transform_that_cannot_be_represented_is_refused(
    spec, match, tmp_path
):
    config = {"transform": spec}
    refused(builder.checkpoint_27("patchcore", config=config), tmp_path, match)


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        (v2.CenterCrop((33, 48)), "crop"),
        (v2.Resize((16, 16)), "out of order"),
        (v2.Grayscale(), "Grayscale"),
    ],
)
def test_a_pickled_transform_is_refused_alike(
    extra, match, tmp_path, monkeypatch
):
    processor = builder.pre_processor(monkeypatch, extra)
    refused(builder.checkpoint_2("patchcore", processor), tmp_path, match)


def test_nested_transforms_are_bounded(tmp_path):
    nested = SPEC("Compose", transforms=[])
    for _ in range(30):
        nested = SPEC("Compose", transforms=[nested] * 30)
    config = {"transform": nested}
    refused(
        builder.checkpoint_27("patchcore", config=config),
        tmp_path,
        "over 32 transforms",
    )


def test_an_unstated_antialias_is_said(tmp_path):
    spec = SPEC("Resize", size=[32, 48], antialias="warn")
    content = builder.checkpoint_27("patchcore", config={"transform": spec})
    imported = import_native(builder.saved(content, tmp_path))
    lines = {line.what: line for line in imported.taken}
    assert lines["resize"].source == "computed"
    assert imported.foreign.preprocessing.mean == (0, 0, 0)


@pytest.mark.parametrize("enabled", [True, False])
def test_an_absent_transform_needs_a_size(enabled, tmp_path):
    config = {"transform": None}
    content = builder.checkpoint_27("patchcore", config=config)
    content["anomalib_components_enabled"]["pre_processor"] = enabled
    refused(content, tmp_path, "give --size")
    path = tmp_path / "model.ckpt"
    imported = import_native(path, size=builder.SIZE)
    lines = {line.what: line.source for line in imported.taken}
    assert lines["mean"] == ("table" if enabled else "file")


def test_a_size_without_the_patches_of_the_file_is_refused(tmp_path):
    config = {"transform": None}
    path = builder.saved(
        builder.checkpoint_27("padim", config=config), tmp_path
    )
    with pytest.raises(InputError, match="expected 96"):
        import_native(path, size=(64, 64))


def test_a_checkpoint_of_another_library_is_refused(tmp_path):
    content = {"state_dict": {"model.a": torch.ones(2)}}
    refused(content, tmp_path, "without a sign of anomalib")


def test_modules_in_themselves_are_refused(tmp_path, monkeypatch):
    content = builder.module_2(monkeypatch, "patchcore")
    model = content["model"].model
    model._modules["again"] = model
    refused(content, tmp_path, "nested over")


@pytest.mark.parametrize("name", ["feature_extractor.a\nb", "a\nb"])
def test_a_name_with_line_feeds_stays_in_one_line(tmp_path, name):
    state = {name: torch.ones(2)}
    if name.startswith("feature"):
        state |= builder.model_state("patchcore")
    refused(builder.checkpoint_27("patchcore", state), tmp_path, r"a\\nb")


def test_a_file_name_with_line_feeds_stays_in_one_line(tmp_path):
    path = tmp_path / "a\nb.ckpt"
    with pytest.raises(ModelError, match="expected a file") as caught:
        import_native(path)
    assert "\n" not in str(caught.value)


def test_two_names_of_one_weight_are_refused(tmp_path):
    state = builder.model_state("patchcore")
    name = "feature_extractor.feature_extractor.conv1.weight"
    state["feature_extractor.module.conv1.weight"] = state[name] * 0
    content = builder.checkpoint_27("patchcore", state)
    refused(content, tmp_path, "two tensors feature_extractor.conv1.weight")


def test_numbers_beyond_float32_are_not_set(tmp_path):
    content = builder.checkpoint_27("patchcore")
    for name in ("image_min", "_image_threshold"):
        value = torch.tensor(1e300, dtype=torch.float64)
        content["state_dict"][f"post_processor.{name}"] = value
    with read_foreign(builder.saved(content, tmp_path)) as foreign:
        stored = foreign.thresholds
    assert (stored.image_min, stored.image_threshold) == (None, None)


@pytest.mark.parametrize("value", ["0.3", True, float("nan"), [0.5]])
def test_a_sensitivity_that_is_no_number_is_not_the_default(tmp_path, value):
    content = builder.checkpoint_27("patchcore")
    content["anomalib_post_processor_config"]["image_sensitivity"] = value
    with read_foreign(builder.saved(content, tmp_path)) as foreign:
        image, _ = levels(foreign.thresholds)
    with pytest.raises(InputError, match=r"sensitivity nan .*--threshold"):
        raw_threshold(image, None, Taken())
