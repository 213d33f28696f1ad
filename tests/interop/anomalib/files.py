"""Files of anomalib that tests state themselves."""

from pathlib import Path

from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    StoredThresholds,
)


class Source:
    """A tensor of a file."""

    def __init__(self, value):
        self.value = value
        self.dtype, self.shape = value.dtype, tuple(value.shape)

    def load(self):
        return self.value.clone()


def foreign(tensors=None, preprocessing=None, kind="ckpt", **arguments):
    """A file with these tensors, and these hyper-parameters."""
    return ForeignModel(
        path=Path("part.ckpt"),
        digest="d" * 64,
        kind=kind,
        version="2.7",
        tensors={k: Source(v) for k, v in (tensors or {}).items()},
        arguments=arguments,
        preprocessing=preprocessing or Preprocessing(),
        thresholds=StoredThresholds(),
    )
