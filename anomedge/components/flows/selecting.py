r"""Affine coupling block that permutes channels by their indices.

.. math:: y_i = \big(\Psi(s_\mathrm{global}) \odot \mathrm{Coupling}(x)
          + t_\mathrm{global}\big)_{\pi(i)}

This is `AllInOneBlock` with a permutation R, :math:`R_{i, \pi(i)} = 1`. The
product with R, C^2 multiplications per pixel and 4 C^2 bytes per block, becomes
one `Gather` of C indices; values are the same.
"""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.invertible import Shape

__all__ = ["SelectingBlock"]


class SelectingBlock(AllInOneBlock):
    """Coupling, global scale and offset, and selection of C channels.

    Parameters and buffers have the names of `AllInOneBlock`, but for the
    indices `order` (C,) in place of `w_perm` and `w_perm_inv`.

    Args:
        dims_in: as of `AllInOneBlock`.
        dims_c: as of `AllInOneBlock`.
        subnet_constructor: as of `AllInOneBlock`.
        affine_clamping: as of `AllInOneBlock`.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> block = SelectingBlock([(4,)], subnet_constructor=nn.Linear)
        >>> sorted(block.order.tolist())
        [0, 1, 2, 3]
        >>> x = torch.arange(8.0).reshape(2, 4)
        >>> (z,), _ = block([x])
        >>> torch.allclose(block([z], rev=True)[0][0], x, atol=1e-5)
        True
    """

    order: Tensor

    def __init__(
        self,
        dims_in: Iterable[Shape],
        dims_c: Iterable[Shape] | None = None,
        subnet_constructor: Callable[[int, int], nn.Module] | None = None,
        affine_clamping: float = 2.0,
    ) -> None:
        super().__init__(dims_in, dims_c, subnet_constructor, affine_clamping)

    def _register_permutation(self, w: Tensor) -> None:
        self.register_buffer("order", w.argmax(dim=1))

    def _matrices(self) -> tuple[Tensor, Tensor]:
        """Return the indices of the permutation and of its inverse."""
        return self.order, self.order.argsort()
