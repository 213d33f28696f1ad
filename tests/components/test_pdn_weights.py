"""Files of a teacher: names of several kinds, and files of other networks."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from anomedge.components.patch_description import PatchDescriptionNetwork
from anomedge.components.pdn_weights import pretrained_pdn
from anomedge.errors import ModelError


def stored(state, path):
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def renamed(state, numbers):
    """Names of a Sequential with activations between the layers."""
    return {
        f"{numbers[int(key[4]) - 1]}.{key.partition('.')[2]}": tensor
        for key, tensor in state.items()
    }


@pytest.mark.parametrize(
    ("model_size", "numbers"),
    [("small", (0, 3, 6, 8)), ("medium", (0, 3, 6, 8, 10, 12))],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_layers_are_matched_by_their_numbers(
    model_size, numbers, suffix, tmp_path
):
    state = PatchDescriptionNetwork(3, model_size).state_dict()
    prefixed = {f"teacher.{key}": tensor for key, tensor in state.items()}
    for given in (state, prefixed, renamed(state, numbers)):
        path = stored(given, tmp_path / f"teacher{suffix}")
        found = pretrained_pdn(path, model_size, padding=True)
        assert found.channels == 3
        assert found.conv1.padding == (3, 3)
        for key, tensor in found.state_dict().items():
            assert torch.equal(tensor, state[key])


def test_the_other_network_is_named(tmp_path):
    state = PatchDescriptionNetwork(3, "medium").state_dict()
    path = stored(state, tmp_path / "teacher.pth")
    with pytest.raises(ModelError, match="give --model-size medium"):
        pretrained_pdn(path, "small", padding=False)


def test_files_of_other_networks_are_refused(tmp_path):
    state = PatchDescriptionNetwork(3).state_dict()
    lacking = {k: v for k, v in state.items() if k != "conv2.bias"}
    for given in (lacking, nn.Linear(2, 2).state_dict()):
        path = stored(given, tmp_path / "teacher.pth")
        with pytest.raises(ModelError, match="4 convolutions"):
            pretrained_pdn(path, "small", padding=False)
    state["conv3.bias"][0] = torch.nan
    path = stored(state, tmp_path / "teacher.pth")
    with pytest.raises(ModelError, match="not finite"):
        pretrained_pdn(path, "small", padding=False)


def test_a_large_last_layer_is_refused_before_a_network_is_made(
    tmp_path, monkeypatch
):
    state = PatchDescriptionNetwork(3).state_dict()
    state["conv4.bias"] = torch.zeros(300_000)
    path = stored(state, tmp_path / "teacher.pth")

    def forbidden(tensor, *args, **kwargs):
        assert tensor.is_meta
        return tensor

    monkeypatch.setattr("torch.nn.init.kaiming_uniform_", forbidden)
    with pytest.raises(ModelError, match=r"conv4.bias \(300000,\).*4096"):
        pretrained_pdn(path, "small", padding=False)


@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({0: torch.zeros(2)}, "the name 0 of type int"),
        ({"a": torch.zeros(2, device="meta")}, "without values"),
        ({"a": torch.eye(2).to_sparse()}, "a, which is sparse"),
        ({"a": torch.zeros(2).cfloat()}, "a of complex64"),
        ({"a": torch.zeros(2).long()}, "a of int64"),
        ({}, "no tensors"),
    ],
)
def test_content_that_is_no_weights_is_refused(given, named, tmp_path):
    path = stored(given, tmp_path / "teacher.pth")
    with pytest.raises(ModelError, match=named) as caught:
        pretrained_pdn(path, "small", padding=False)
    assert "; expected " in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_an_empty_file_is_refused(suffix, tmp_path):
    path = tmp_path / f"teacher{suffix}"
    path.touch()
    with pytest.raises(ModelError, match="no plain weights"):
        pretrained_pdn(path, "small", padding=False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_weights_of_other_precisions_become_float32(dtype, tmp_path):
    state = PatchDescriptionNetwork(3).to(dtype).state_dict()
    path = stored(state, tmp_path / "teacher.pth")
    found = pretrained_pdn(path, "small", padding=False)
    assert torch.equal(found.conv1.weight, state["conv1.weight"].float())
