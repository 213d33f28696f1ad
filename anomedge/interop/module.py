"""A detector around any torch module that maps images to a score and a map."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import Self

from anomedge.components.buffers import plain_state
from anomedge.errors import InputError, ModelError
from anomedge.interop.outputs import raw_outputs
from anomedge.interop.recording import Recorder
from anomedge.pipelines.base import Config, Options, Pipeline
from anomedge.pipelines.data import FitData

__all__ = ["ModuleConfig", "ModulePipeline"]

_HELD = "module"
_Channel = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ModuleConfig(Config):
    """Configuration of a pipeline around a module.

    Attributes:
        mean, std: of each channel; the module gets (image - mean) / std of images in [0, 1].
        networks: dotted paths, in the module, of submodules that may run in reduced precision.
        recorded: dotted paths of the submodules whose outputs are stages, by name of the stage.
        description: of the module, for readers of a bundle.
    """

    mean: tuple[_Channel, _Channel, _Channel] = (0.0, 0.0, 0.0)
    std: tuple[_Positive, _Positive, _Positive] = (1.0, 1.0, 1.0)
    networks: tuple[str, ...] = ()
    recorded: dict[str, str] = Field(default_factory=dict)
    description: str = ""


class ModulePipeline(Pipeline[ModuleConfig, Options]):
    """A detector around a torch module: images (B, 3, H, W), scaled by mean and std, to a score and a map.

    The module may return (score, map), a named tuple, a dataclass, a dict, or the score alone; see
    `anomedge.interop.outputs`. A map smaller than the image is upsampled bilinearly to it, as those of other detectors.
    The module is held, not copied; the caller puts it into evaluation mode.

    A subclass for one family of models sets `name` and overrides `build_networks`, so that a model file can be loaded.

    Args:
        config: the configuration.
        module: the module, on the CPU and in float32.

    Raises:
        InputError: the configuration names a submodule that the module does not have.

    Example:
        >>> class Darkest(nn.Module):
        ...     def forward(self, images):
        ...         darkness = 1 - images.mean(dim=1, keepdim=True)
        ...         return darkness.amax(dim=(1, 2, 3)), darkness
        >>> pipeline = ModulePipeline(ModuleConfig(size=(8, 8)), Darkest())
        >>> pipeline(torch.zeros(2, 3, 8, 8)).score
        tensor([1., 1.])
    """

    name = "module"
    config_class = ModuleConfig
    options_class = Options

    mean: Tensor
    std: Tensor

    @plain_state
    def __init__(self, config: ModuleConfig, module: nn.Module) -> None:
        super().__init__(config)
        self.add_module(_HELD, module)
        self.networks: tuple[str, ...] = tuple(  # type: ignore[misc]
            f"{_HELD}.{path}" for path in config.networks
        )
        self._scaled = config.mean != (0, 0, 0) or config.std != (1, 1, 1)
        for name in ("mean", "std"):
            values = torch.tensor(
                getattr(config, name), dtype=torch.float32, device="cpu"
            )
            self.register_buffer(
                name, values.reshape(1, 3, 1, 1), persistent=False
            )
        for path in (*config.networks, *config.recorded.values()):
            _submodule(module, path)

    @classmethod
    def build_networks(
        cls, config: ModuleConfig, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return the module that was given as `backbone`.

        Raises:
            ModelError: none was given; a file cannot name a module.
        """
        del config
        if backbone is None:
            raise ModelError(
                "got no module; expected the one that the detector was made around: give it as backbone"
            )
        return {_HELD: backbone}

    @classmethod
    def fit(cls, data: FitData, options: Options) -> Self:
        """Refuse to fit: the module was fitted elsewhere."""
        del data, options
        raise InputError(
            f"{cls.name} detectors are fitted elsewhere; expected one of the detectors that `anomedge fit --help` lists"
        )

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return the recorded outputs in the order of computation, then `anomaly_map`, if there is one, and `score`."""
        scaled = (images - self.mean) / self.std if self._scaled else images
        with Recorder(self.held, self.config.recorded) as recorder:
            # Frames become channels-last images in a trace; modules may view them as vectors.
            result = self.call(scaled.contiguous())
        score, anomaly_map = raw_outputs(result, images.shape[0])
        outputs = {"score": score}
        if anomaly_map is not None:
            outputs = {"anomaly_map": self._fitted(anomaly_map)} | outputs
        return recorder.outputs | outputs

    def call(self, images: Tensor) -> Any:
        """Return the module's result for scaled images; a subclass may convert its arguments or result."""
        return self.held(images)

    @property
    def held(self) -> nn.Module:
        """The module."""
        return self.get_submodule(_HELD)

    def with_networks(self, networks: Mapping[str, nn.Module]) -> Self:
        """Return this detector with other networks; all other tensors are shared."""
        replaced = {
            id(self.get_submodule(name)): network
            for name, network in networks.items()
        }
        twin = copy.copy(self)
        twin._modules = self._modules | {_HELD: _replaced(self.held, replaced)}
        return twin

    def describe(self) -> str:
        """Return the name and the description of the module."""
        return f"{self.name} {self.config.description}".rstrip()

    def _fitted(self, anomaly_map: Tensor) -> Tensor:
        """Return the map in the size of the images.

        Raises:
            ModelError: it is larger than they are.
        """
        size, expected = tuple(anomaly_map.shape[2:]), self.config.size
        if size == expected:
            return anomaly_map
        if size[0] > expected[0] or size[1] > expected[1]:
            raise ModelError(
                f"the module's map has {size[0]}x{size[1]} pixels for images of {expected[0]}x{expected[1]}; expected "
                f"the same size, or a smaller one, which is upsampled: reduce it in the module, as it should be"
            )
        return F.interpolate(
            anomaly_map, size=expected, mode="bilinear", align_corners=False
        )


def _submodule(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError:
        known = [name for name, _ in module.named_modules() if name]
        raise InputError(
            f"got the submodule {path!r}, which {type(module).__name__} does not have; expected one such as: "
            f"{', '.join(known[:8]) or 'none'}"
        ) from None


def _replaced(
    module: nn.Module, replaced: Mapping[int, nn.Module]
) -> nn.Module:
    """Return a module with some submodules replaced, by identity; modules that hold them are copied, tensors shared."""
    if id(module) in replaced:
        return replaced[id(module)]
    children = {
        name: child if child is None else _replaced(child, replaced)
        for name, child in module._modules.items()
    }
    if all(child is module._modules[name] for name, child in children.items()):
        return module
    twin = copy.copy(module)
    twin._modules = children
    return twin
