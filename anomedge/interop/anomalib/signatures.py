"""Models of anomalib that can be told from the names of their tensors.

No key of a checkpoint names the model's class. Each entry gives tensors that
models of this class have and others lack.
"""

from __future__ import annotations

from collections.abc import Mapping

from anomedge.interop.anomalib.foreign import ForeignModel

__all__ = ["SIGNATURES", "recognised"]
