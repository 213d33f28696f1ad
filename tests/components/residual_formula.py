"""Bottleneck and decoder of reverse distillation with numpy, from the tensors of a state_dict."""

import numpy as np
import torch
from torch import nn

from anomedge.components.one_class_bottleneck import OneClassBottleneck
from anomedge.components.residual_blocks import BlockKind
from anomedge.components.reverse_decoder import ReverseDecoder

CHANNELS = [4, 8]


class Restored(nn.Module):
    """Maps of two levels made from one input, and restored: bottleneck blocks in the embedding, basic ones behind it."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0 if fitted else 1)
            self.bottleneck = OneClassBottleneck(CHANNELS, BlockKind(4), 2)
            kind = BlockKind(rectified=False)
            self.decoder = ReverseDecoder(CHANNELS, kind, [1, 2])
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.uniform_(module.bias, -0.5, 0.5)
                    nn.init.uniform_(module.running_mean, -0.5, 0.5)
                    nn.init.uniform_(module.running_var, 0.5, 1.5)
        self.requires_grad_(False).eval()

    def forward(self, x):
        coarse = x[:, :, ::2, ::2]
        features = [x, torch.cat([coarse, -coarse], dim=1)]
        return self.decoder(self.bottleneck(features))


def restored(x):
    """The outputs of `Restored(True)`."""
    state = {k: v.numpy() for k, v in Restored(True).state_dict().items()}
    coarse = x[:, :, ::2, ::2]
    small = _conv(x, state["bottleneck.halve.0.0.weight"], 2)
    small = _rectified(_norm(small, state, "bottleneck.halve.0.1"))
    x = np.concatenate([small, coarse, -coarse], axis=1)
    x = _rectified(_block(x, state, "bottleneck.embed.0", 3, 2))
    x = _rectified(_block(x, state, "bottleneck.embed.1", 3))
    second = _block(x, state, "decoder.layers.0.0", 2)
    x = _rectified(_block(second, state, "decoder.layers.1.0", 2))
    return _block(x, state, "decoder.layers.1.1", 2), second


def _block(x, state, name, count, stride=1):
    """f(x) + s(x) of a block with this number of convolutions."""
    y = x
    for place in range(1, count + 1):
        weight = state[f"{name}.conv{place}.weight"]
        y = _conv(y, weight, stride if weight.shape[2] == 3 else 1)
        y = _norm(y, state, f"{name}.bn{place}")
        y = y if place == count else _rectified(y)
        stride = stride if weight.shape[2] == 1 else 1
    weight = state.get(f"{name}.shortcut.0.weight")
    if weight is None:
        return y + x
    step = x.shape[2] // y.shape[2] or 1
    return y + _norm(_conv(x, weight, step), state, f"{name}.shortcut.1")


def _conv(x, weight, stride):
    if weight.shape[2] == 2:
        squares = np.einsum("bihw,iokl->bohkwl", x, weight)
        b, o, h, _, w, _ = squares.shape
        return squares.reshape(b, o, 2 * h, 2 * w)
    side = weight.shape[2]
    border = [(0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, border), (side, side), axis=(2, 3)
    )
    windows = windows[:, :, ::stride, ::stride]
    return np.einsum("bihwkl,oikl->bohw", windows, weight)


def _norm(x, state, name):
    gain, bias, mean, variance = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def _rectified(x):
    return np.maximum(x, 0)
