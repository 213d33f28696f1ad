r"""Orthogonal maps of channels: permutations, rotations and reflections.

.. math:: y_{b,:,p} = W\, x_{b,:,p}, \qquad W W^\top = I, \qquad \log\lvert\det \partial y/\partial x\rvert = 0

`reflected` makes
:math:`W = W_0 \prod_k \big(I - 2\, v_k v_k^\top / v_k^\top v_k\big)`
(Householder 1958; in flows: Tomczak and Welling 2016, "Improving Variational
Auto-Encoders using Householder Flow", arXiv:1611.09630). `random_rotation`
draws by the Haar measure (Mezzadri 2007, "How to generate random matrices from
the classical compact groups", arXiv:math-ph/0609050). Both draw from torch's
generator, so `torch.manual_seed` fixes them together with the weights drawn
beside them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["mixed", "random_permutation", "random_rotation", "reflected"]

_CONVOLUTIONS = (F.linear, F.conv1d, F.conv2d, F.conv3d)


def random_permutation(size: int) -> Tensor:
    """Draw a permutation matrix (size, size), uniformly distributed."""
    return torch.eye(size)[torch.randperm(size)]


def random_rotation(size: int) -> Tensor:
    """Draw a rotation (size, size) with determinant 1, uniformly distributed.

    >>> _ = torch.manual_seed(0)
    >>> rotation = random_rotation(5)
    >>> torch.allclose(rotation @ rotation.T, torch.eye(5), atol=1e-6), round(torch.det(rotation).item(), 5)
    (True, 1.0)
    """
    q, r = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))
    # Signs make the factorisation unique and the distribution uniform; the sign
    # of the determinant selects rotations.
    q = q * r.diagonal().sign()
    q = torch.cat([q[:, :1] * torch.linalg.det(q).sign(), q[:, 1:]], dim=1)
    return q.to(torch.get_default_dtype())


def reflected(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Multiply a matrix (C, C) from the right by reflections along vectors (K, C).

    >>> reflected(torch.eye(2), torch.tensor([[3.0, 0.0]]))
    tensor([[-1.,  0.],
            [ 0.,  1.]])
    """
    for v in vectors:
        matrix = matrix - torch.outer(matrix @ v, v) * (2 / v.dot(v))
    return matrix


def mixed(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix (C, C, 1, ...), one 1 per spatial axis, to x (B, C, ...).

    Indices (C,) in its place select channels: the matrix of a permutation has its
    ones there.
    """
    if not matrix.is_floating_point():
        return x.index_select(1, matrix)
    y: Tensor = _CONVOLUTIONS[x.ndim - 2](x, matrix)
    return y
