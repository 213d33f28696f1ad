r"""Self-supervised predictive convolutional attention block.

Each pixel is predicted from four patches around it, without the pixel itself.
With k x k kernels :math:`W_1 \ldots W_4` at the corners of the receptive field,
at offsets :math:`\pm(d + 1)` from the centre to the near edge of the patch,

.. math:: z = \sum_{n=1}^4 \big(W_n * x_{\text{corner } n} + b_n\big), \qquad
          y = z \cdot \sigma\big(A_2 \max(A_1 \bar z + a_1,\, 0) + a_2\big)

where :math:`\bar z` is the mean of z over the image (Ristea et al. 2022,
"Self-supervised predictive convolutional attentive block for anomaly
detection", arXiv:2111.09099; the attention is squeeze and excitation, Hu et al.
2018). The code of the paper applies max(z, 0) before the attention; anomalib's
block does not, and this block follows it, so that anomalib's weights load.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomedge.components.buffers import checked_dtype, is_scripting, plain_state
from anomedge.components.scalars import whole
from anomedge.errors import InputError

__all__ = ["SSPCAB", "AttentionModule"]


class AttentionModule(nn.Module):
    """Scale each channel by a factor in (0, 1) computed from all channel means.

    Args:
        in_channels: C.
        reduction_ratio: r; the hidden layer has C // r channels.

    Raises:
        InputError: fewer channels than r, so that no hidden channel is left.

    Example:
        >>> attention = AttentionModule(in_channels=8).requires_grad_(False)
        >>> _ = [parameter.zero_() for parameter in attention.parameters()]
        >>> attention(torch.ones(1, 8, 2, 2)).unique()
        tensor([0.5000])
    """

    @plain_state
    def __init__(self, in_channels: int, reduction_ratio: int = 8) -> None:
        super().__init__()
        in_channels = whole(in_channels, "in_channels")
        reduction_ratio = whole(reduction_ratio, "reduction_ratio")
        if in_channels < reduction_ratio:
            raise InputError(
                f"got {in_channels} channels, reduction_ratio={reduction_ratio}; expected at least 1 hidden channel: "
                f"a ratio from 1 to {in_channels}"
            )
        self.fc1 = nn.Linear(in_channels, in_channels // reduction_ratio)
        self.fc2 = nn.Linear(in_channels // reduction_ratio, in_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        hidden = F.relu(self.fc1(inputs.mean(dim=(2, 3))))
        return inputs * torch.sigmoid(self.fc2(hidden))[:, :, None, None]


class SSPCAB(nn.Module):
    """Predict feature maps from their surroundings, with channel attention.

    Args:
        in_channels: C.
        kernel_size: k, side of each of the four patches, in pixels.
        dilation: d, between the masked middle and the patches, in pixels.
        reduction_ratio: of the attention, see `AttentionModule`.

    Parameters have anomalib's names: its state_dicts load.

    Raises:
        InputError: a size below 1, or fewer channels than the reduction ratio.

    Example:
        >>> block = SSPCAB(in_channels=1, reduction_ratio=1).requires_grad_(False)
        >>> _ = [parameter.zero_() for parameter in block.parameters()]
        >>> _ = [block.get_parameter(f"masked_conv{n}.weight").fill_(2.0 * n) for n in (1, 2, 3, 4)]
        >>> x = torch.zeros(1, 1, 5, 5)
        >>> x[..., 2, 2] = 1
        >>> block(x).squeeze()
        tensor([[4., 0., 0., 0., 3.],
                [0., 0., 0., 0., 0.],
                [0., 0., 0., 0., 0.],
                [0., 0., 0., 0., 0.],
                [2., 0., 0., 0., 1.]])
    """

    @plain_state
    def __init__(
        self,
        in_channels: int,
        kernel_size: int = 1,
        dilation: int = 1,
        reduction_ratio: int = 8,
    ) -> None:
        super().__init__()
        in_channels = whole(in_channels, "in_channels")
        kernel_size = whole(kernel_size, "kernel_size")
        dilation = whole(dilation, "dilation")
        self.in_channels = in_channels
        self.pad = kernel_size + dilation
        self.crop = kernel_size + 2 * dilation + 1
        self.masked_conv1 = nn.Conv2d(in_channels, in_channels, kernel_size)
        self.masked_conv2 = nn.Conv2d(in_channels, in_channels, kernel_size)
        self.masked_conv3 = nn.Conv2d(in_channels, in_channels, kernel_size)
        self.masked_conv4 = nn.Conv2d(in_channels, in_channels, kernel_size)
        self.attention_module = AttentionModule(in_channels, reduction_ratio)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; the border is padded with zeros.

        Raises:
            InputError: the shape is not (B, C, H, W), or the dtype is not that
                of the weights.
        """
        if not is_scripting():
            self._check(inputs)
        padded = F.pad(inputs, (self.pad, self.pad, self.pad, self.pad))
        upper, lower = padded[:, :, : -self.crop], padded[:, :, self.crop :]
        predicted = self.masked_conv1(
            upper[..., : -self.crop]
        ) + self.masked_conv2(upper[..., self.crop :])
        predicted = (
            predicted
            + self.masked_conv3(lower[..., : -self.crop])
            + self.masked_conv4(lower[..., self.crop :])
        )
        attended: Tensor = self.attention_module(predicted)
        return attended

    def _check(self, inputs: Tensor) -> None:
        if inputs.ndim != 4 or inputs.shape[1] != self.in_channels:
            raise InputError(
                f"got inputs {tuple(inputs.shape)}; expected (B, {self.in_channels}, H, W)"
            )
        checked_dtype(inputs, self.masked_conv1.weight, "inputs")
