"""EfficientAD of anomalib: teacher, student and autoencoder, statistics of the teacher's channels, quantiles of the maps."""

from __future__ import annotations

import torch
from torch import Tensor

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    Taken,
    TensorSource,
)
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    refuse_misshapen,
    said_precision,
    tensor_of,
)
from anomedge.pipelines.efficient_ad import EfficientAd, EfficientAdConfig

__all__ = ["ImportedEfficientAd"]

Size = tuple[int, int]

_LEAST_SIDE = 256
_MEAN, _STD = "mean_std.mean", "mean_std.std"
_QUANTILES = tuple(
    f"quantiles.{end}_{which}" for which in ("st", "ae") for end in ("qa", "qb")
)
_NETWORKS = {
    "teacher.": "teacher.",
    "student.": "student.",
    "ae.encoder.enconv": "autoencoder.encoder.conv",
    "ae.decoder.deconv": "autoencoder.decoder.conv",
}
_OWNERS = ("teacher.", "student.", "ae.encoder.", "ae.decoder.")
_PARTS = (*_NETWORKS, _MEAN, _STD, *_QUANTILES)


class ImportedEfficientAd(ImportedDetector):
    """EfficientAD, a student and an autoencoder of a teacher, as `anomedge.pipelines.efficient_ad.EfficientAd`."""

    name = "efficient_ad"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has the three networks, and nothing of another model."""
        return tensors_fit(foreign, _OWNERS, _PARTS)

    @classmethod
    def build(
        cls, foreign: ForeignModel, size: Size, taken: Taken
    ) -> EfficientAd:
        """Return the trained EfficientAD; see `ImportedDetector.build`."""
        _refuse_scaling(foreign.preprocessing)
        config = _config(foreign, size)
        found = _networks(foreign)
        with torch.device("meta"):
            networks = EfficientAd.build_networks(config)
        expected = {
            f"{name}.{key}": tensor
            for name, network in networks.items()
            for key, tensor in network.state_dict().items()
        }
        refuse_misshapen(
            found, expected, (), f"EfficientAD {config.model_size}"
        )
        pipeline = EfficientAd(config, **EfficientAd.build_networks(config))
        state = {key: loaded(tensor, key) for key, tensor in found.items()}
        pipeline.load_state_dict(state | _statistics(foreign, config))
        _say(config, taken)
        dtypes = [tensor.dtype for tensor in foreign.tensors.values()]
        said_precision("networks", dtypes, taken)
        return pipeline.eval()


def _refuse_scaling(preprocessing: Preprocessing) -> None:
    if (preprocessing.mean, preprocessing.std) != UNSCALED:
        raise ModelError(
            f"got a Normalize with mean {shown(preprocessing.mean)} and std {shown(preprocessing.std)} before EfficientAD; "
            f"expected none, because its networks scale images themselves: fit with a Resize only"
        )


def _config(foreign: ForeignModel, size: Size) -> EfficientAdConfig:
    if min(size) < _LEAST_SIDE:
        raise InputError(
            f"got images of {size[0]}x{size[1]}; expected at least {_LEAST_SIDE}x{_LEAST_SIDE}, as anomalib's autoencoder "
            f"needs: give the --size that the model was fitted with"
        )
    is_medium = "teacher.conv6.bias" in foreign.tensors
    last = f"teacher.conv{6 if is_medium else 4}.bias"
    shape = tensor_of(foreign, last, 1, "last layer of the teacher").shape
    return EfficientAdConfig.checked(
        size=size,
        model_size="medium" if is_medium else "small",
        channels=shape[0],
        padding=_switch(foreign, "padding"),
        pad_maps=_switch(foreign, "pad_maps"),
    )


def _switch(foreign: ForeignModel, name: str) -> bool:
    value = foreign.arguments.get(name)
    if not isinstance(value, bool):
        raise ModelError(
            f"got {name} {shown(value)} in the hyper-parameters; expected true or false: import a checkpoint (.ckpt)"
        )
    return value


def _networks(foreign: ForeignModel) -> dict[str, TensorSource]:
    """Return the tensors of the networks by the names that they have in the detector."""
    found = {}
    for name, tensor in foreign.tensors.items():
        for theirs, own in _NETWORKS.items():
            if name.startswith(theirs):
                found[own + name.removeprefix(theirs)] = tensor
    return found


def _statistics(
    foreign: ForeignModel, config: EfficientAdConfig
) -> dict[str, Tensor]:
    """Return the buffers of the detector.

    Raises:
        ModelError: missing or misshapen ones, or those of a model that is not fitted.
    """
    column = (1, config.channels, 1, 1)
    found = {}
    for name, own in ((_MEAN, "teacher_mean"), (_STD, "teacher_std")):
        tensor = tensor_of(foreign, name, 4, "statistics of the teacher")
        if tensor.shape != column:
            raise ModelError(
                f"got tensor {name} of shape {tensor.shape}; expected {column}, one number per channel"
            )
        found[own] = loaded(tensor, name)
    if not bool((found["teacher_std"] > 0).all()):
        raise ModelError(
            f"got {_STD} with values that are not above 0, as in a model that is not fitted; expected deviations: "
            f"fit it with anomalib's Engine"
        )
    numbers = [
        loaded(tensor_of(foreign, name, 0, "a quantile of the maps"), name)
        for name in _QUANTILES
    ]
    quantiles = torch.stack(numbers).reshape(2, 2)
    if not bool((quantiles[:, 0] < quantiles[:, 1]).all()):
        raise ModelError(
            f"got the quantiles {quantiles.tolist()} of the maps, as in a model that was not validated; "
            f"expected qa below qb: fit it with anomalib's Engine"
        )
    return found | {"quantiles": quantiles}


def _say(config: EfficientAdConfig, taken: Taken) -> None:
    taken.add(
        "networks", f"{config.model_size}, {config.channels} channels", "file"
    )
    taken.add("padding", "yes" if config.padding else "no", "file")
    taken.add(
        "zeros around the maps", "4" if config.pad_maps else "none", "file"
    )
