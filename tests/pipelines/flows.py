"""Steps of a normalising flow with numpy, by the papers."""

import numpy as np


def convolved(x, weight, bias):
    """A convolution with zeros beyond the border, as a sum over the kernel's places."""
    reach = weight.shape[2] // 2
    h, w = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    y = np.zeros((len(x), len(weight), h, w)) + bias[:, None, None]
    for i, j in np.ndindex(weight.shape[2:]):
        moved = padded[:, :, i : i + h, j : j + w]
        y += np.einsum("oi,bihw->bohw", weight[:, :, i, j], moved)
    return y


def flowed(y, state):
    """z and log |det J| of maps y, step by step, with numpy."""
    jacobian = np.zeros(len(y))
    steps = {name.split(".")[1] for name in state}
    for step in sorted(steps):
        own = {
            name.split(".", 2)[2]: value
            for name, value in state.items()
            if name.split(".")[1] == step
        }
        half = y.shape[1] - y.shape[1] // 2
        a, b = y[:, :half], y[:, half:]
        hidden = convolved(a, own["subnet.0.weight"], own["subnet.0.bias"])
        hidden = np.maximum(hidden, 0)
        out = convolved(hidden, own["subnet.2.weight"], own["subnet.2.bias"])
        s, t = np.split(out / 10, [b.shape[1]], axis=1)
        log_scale = 2 * np.tanh(s)
        psi = 0.2 * np.log1p(np.exp(own["global_scale"] / 2))
        u = np.concatenate([a, b * np.exp(log_scale) + t], axis=1)
        y = (psi * u + own["global_offset"])[:, own["order"]]
        pixels = y.shape[2] * y.shape[3]
        jacobian += log_scale.sum(axis=(1, 2, 3)) + pixels * np.log(psi).sum()
    return y, jacobian
