"""Weights of other libraries: other names, another order, without a head, of some layers only."""

import re

import pytest
import timm
import torch
from safetensors.torch import save_file

from anomedge.components import FeatureExtractor
from anomedge.components.weights_by_order import (
    OrderMismatch,
    matched_by_order,
)
from anomedge.errors import ModelError

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


def test_a_file_that_fits_twice_is_refused():
    """Sorted by name, 10 comes before 2; both orders have the same shapes."""
    want = {f"block.{i}.weight": torch.zeros(4, 4) for i in range(3)}
    have = {f"b.{i}.weight": torch.rand(4, 4) for i in (1, 10, 2)}
    with pytest.raises(OrderMismatch, match="fit twice"):
        matched_by_order(want, have, in_order_of_names=True)
    matched = matched_by_order(want, have, in_order_of_names=False)
    assert matched["block.1.weight"] is have["b.10.weight"]


def test_a_module_with_leaves_in_another_order_keeps_their_names():
    want = {"bn.weight": torch.zeros(4), "bn.bias": torch.zeros(4)}
    have = {"n.beta": torch.ones(4), "n.gamma": torch.zeros(4)}
    matched = matched_by_order(want, have, in_order_of_names=False)
    assert matched["bn.bias"] is have["n.beta"]
    assert matched["bn.weight"] is have["n.gamma"]


def test_unknown_leaf_names_are_refused():
    want = {"bn.weight": torch.zeros(4), "bn.bias": torch.zeros(4)}
    have = {"n.a": torch.ones(4), "n.b": torch.zeros(4)}
    with pytest.raises(OrderMismatch, match=r"n has a \(4,\), b \(4,\)"):
        matched_by_order(want, have, in_order_of_names=False)


def test_two_names_of_one_leaf_are_refused():
    want = {"bn.weight": torch.zeros(4)}
    have = {"n.gamma": torch.ones(4), "n.weight": torch.zeros(4)}
    with pytest.raises(OrderMismatch, match="twice"):
        matched_by_order(want, have, in_order_of_names=False)
