"""Weights from packages and files: other names, another order, without a head, of some layers only."""

import os
import pickle
import re

import pytest
import timm
import torch
from safetensors.torch import save_file

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from tests.components.networks import hooked, whole

NET, LAYER = "test_efficientnet", "blocks.1"
BY_ORDER = "by their order"
BEHIND = "do not use"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(3)
    return timm.create_model(NET).eval().state_dict()


def expected(state, layer=LAYER, net=NET):
    model = timm.create_model(net).eval()
    model.load_state_dict(state)
    found = {}
    model.get_submodule(layer).register_forward_hook(
        lambda m, i, o: found.update(y=o)
    )
    with torch.no_grad():
        model(images())
    return found["y"]


def images():
    return torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def features(path, layer=LAYER, net=NET):
    extractor = FeatureExtractor(net, [layer], weights=path)
    with torch.no_grad():
        return extractor(images())[layer]


def saved(tensors, path):
    if path.suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    return path


def numbered(state):
    """Other names for every module, numbered in order; leaf names stay."""
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    return {
        f"net.layer_{modules.index(key.rpartition('.')[0])}.{key.rpartition('.')[2]}": tensor
        for key, tensor in state.items()
    }


def convolutions(state, *kept):
    return {k: v for k, v in state.items() if k.startswith(kept)}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_names_are_matched_by_order(state, tmp_path, suffix):
    path = saved(numbered(state), tmp_path / f"w{suffix}")
    with pytest.warns(UserWarning, match=BY_ORDER):
        assert torch.equal(features(path), expected(state))


def test_without_counters_and_with_other_leaf_names(state, tmp_path):
    renamed = {
        key.replace("running_mean", "moving_mean").replace(
            "running_var", "moving_variance"
        ): tensor
        for key, tensor in numbered(state).items()
        if not key.endswith("num_batches_tracked")
    }
    with pytest.warns(UserWarning, match=BY_ORDER):
        found = features(saved(renamed, tmp_path / "w.pth"))
    assert torch.equal(found, expected(state))


def test_a_head_of_another_size_is_not_used(state, tmp_path):
    other = dict(state)
    other["classifier.weight"] = torch.zeros(7, 256)
    other["classifier.bias"] = torch.zeros(7)
    path = saved(other, tmp_path / "named.pth")
    assert torch.equal(features(path), expected(state))
    path = saved(numbered(other), tmp_path / "numbered.pth")
    with pytest.warns(UserWarning, match=BY_ORDER):
        assert torch.equal(features(path), expected(state))


def test_the_layers_that_are_used_are_enough(state, tmp_path):
    part = convolutions(state, "conv_stem", "bn1", "blocks.0", "blocks.1")
    path = saved(part, tmp_path / "w.safetensors")
    with pytest.warns(UserWarning, match=BEHIND):
        assert torch.equal(features(path), expected(state))
    with pytest.raises(ModelError, match=r"blocks\.2\S* first"):
        features(path, "blocks.2")


def test_the_used_layers_by_order_are_enough(state, tmp_path):
    part = convolutions(state, "conv_stem", "bn1", "blocks.0", "blocks.1")
    path = saved(numbered(part), tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=f"{BY_ORDER}|{BEHIND}"):
        assert torch.equal(features(path), expected(state))
    with pytest.raises(ModelError, match="modules with tensors"):
        features(path, "blocks.2")


def test_a_resnet_without_head_and_last_stage(tmp_path):
    torch.manual_seed(3)
    whole = timm.create_model("test_resnet").eval().state_dict()
    part = convolutions(whole, "conv1", "bn1", "layer1", "layer2")
    path = saved(
        {f"backbone.{k}": v for k, v in part.items()}, tmp_path / "w.pth"
    )
    with pytest.warns(UserWarning, match=BEHIND):
        found = features(path, "layer2", "test_resnet")
    assert torch.equal(found, expected(whole, "layer2", "test_resnet"))


@pytest.mark.parametrize("names", [dict, numbered])
def test_a_used_tensor_of_another_shape_is_refused(state, tmp_path, names):
    key = "blocks.0.0.conv.weight"
    wrong = state | {key: torch.zeros(*state[key].shape[:-1], 5)}
    path = saved(names(wrong), tmp_path / "w.pth")
    shown = re.escape(str(tuple(wrong[key].shape)))
    with pytest.raises(ModelError, match=f"does not fit.*{shown}"):
        features(path)


def test_a_tensor_of_another_shape_behind_the_used_layers_is_left_out(
    state, tmp_path
):
    other = state | {"conv_head.weight": torch.zeros(2, 2)}
    with pytest.warns(UserWarning, match="conv_head.weight first"):
        found = features(saved(other, tmp_path / "w.pth"))
    assert torch.equal(found, expected(state))


def test_some_of_the_names_are_not_matched_by_order(state, tmp_path):
    """A file with the architecture's names that lacks some is not guessed at."""
    mixed = {
        ("x." + key if "blocks.0" in key else key): tensor
        for key, tensor in state.items()
    }
    with pytest.raises(ModelError, match=r"blocks\.0\S* first \(got none"):
        features(saved(mixed, tmp_path / "w.pth"))


def test_another_architecture_by_order_is_refused(tmp_path):
    other = timm.create_model("test_resnet").state_dict()
    path = saved(numbered(other), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"by order .* expects"):
        features(path)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="got none"):
        features(saved({}, tmp_path / "w.pth"))


def test_packaged_weights_see_a_cat():
    """Class 285 of ImageNet, an Egyptian cat, is what the whole network must say of the photograph."""
    import skimage.data

    from anomedge.components.backbone_weights import matching_state_dict

    model = timm.create_model("tf_efficientnet_lite0").eval()
    model.load_state_dict(
        matching_state_dict(
            "efficientnet-lite0", "tf_efficientnet_lite0", model
        )
    )
    extractor = FeatureExtractor(
        "tf_efficientnet_lite0", ["blocks.2"], weights="efficientnet-lite0"
    ).eval()
    cat = (
        torch.from_numpy(skimage.data.chelsea()[:300, :300].copy()).permute(
            2, 0, 1
        )[None]
        / 255
    )
    x = torch.nn.functional.interpolate(
        cat, size=(224, 224), mode="bilinear", antialias=True
    )
    x = (x - extractor.mean[0]) / extractor.std[0]
    with torch.no_grad():
        assert model(x).argmax().item() == 285
        assert torch.equal(
            extractor(x)["blocks.2"], hooked(model, ["blocks.2"], x)["blocks.2"]
        )


def planted(path):
    """A pickle that would run a command."""

    class Planted:
        def __reduce__(self):
            return os.system, (f"touch {path}",)

    return pickle.dumps({"a": Planted()}, protocol=2)  # as torch writes it


def test_no_pickle_is_executed(tmp_path):
    (tmp_path / "weights.pth").write_bytes(planted(tmp_path / "executed"))
    with pytest.raises(
        ModelError, match=r"no plain.*: give another"
    ) as refused:
        FeatureExtractor(
            "test_efficientnet", ["blocks.1"], weights=tmp_path / "weights.pth"
        )
    assert "weights_only" not in str(
        refused.value
    )  # torch's own text says how to run it all the same
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_architecture_are_refused(tmp_path):
    save_file(
        timm.create_model("test_resnet").state_dict(),
        tmp_path / "weights.safetensors",
    )
    with pytest.raises(ModelError, match="does not fit"):
        FeatureExtractor(
            "test_efficientnet",
            ["blocks.1"],
            weights=tmp_path / "weights.safetensors",
        )


@pytest.mark.parametrize("prefix", ["model.", "module.", "backbone.model."])
def test_a_prefix_that_all_keys_share_is_taken_off(tmp_path, prefix):
    model, path = whole(), tmp_path / "weights.safetensors"
    save_file(
        {prefix + key: tensor for key, tensor in model.state_dict().items()},
        path,
    )
    x = torch.rand(1, 3, 32, 32)
    extractor = FeatureExtractor(
        "test_efficientnet", ["blocks.1"], weights=path
    )
    with torch.no_grad():
        assert torch.equal(
            extractor(x)["blocks.1"], hooked(model, ["blocks.1"], x)["blocks.1"]
        )


@pytest.mark.parametrize("more", ["model.something_else", "other.weight"])
def test_a_prefix_is_kept_where_the_keys_do_not_match_without(tmp_path, more):
    path = tmp_path / "weights.safetensors"
    state = {
        f"model.{key}": tensor for key, tensor in whole().state_dict().items()
    }
    save_file(state | {more: torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="does not fit"):
        FeatureExtractor("test_efficientnet", ["blocks.1"], weights=path)
