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
    for given in ({}, lacking, nn.Linear(2, 2).state_dict()):
        path = stored(given, tmp_path / "teacher.pth")
        with pytest.raises(ModelError, match="4 convolutions"):
            pretrained_pdn(path, "small", padding=False)
    state["conv3.bias"][0] = torch.nan
    path = stored(state, tmp_path / "teacher.pth")
    with pytest.raises(ModelError, match="not finite"):
        pretrained_pdn(path, "small", padding=False)
