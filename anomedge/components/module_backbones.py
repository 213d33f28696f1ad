"""Modules as backbones: extract the outputs of named layers and detect their layouts."""

from __future__ import annotations

import copy
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from anomedge.components.map_layouts import MapLayout, layout_of
from anomedge.errors import ModelError

__all__ = ["CutModule", "cut_module", "first_line", "silenced", "unwrapped"]

Size = tuple[int, int]

_SMALL_SIZE: Size = (64, 64)
_USUAL_SIZE: Size = (224, 224)
# Different factors, so that height and width can be told apart.
_GROWTH = (2, 3)
# FakeTensorMode logs a traceback for each refused size, in addition to raising.
_FAKE_TENSORS_LOG = "torch._subclasses.fake_tensor"


@dataclass(frozen=True)
class CutModule:
    """A module cut at named layers: a network from images (B, 3, H, W) to {layer: output}, and each output's layout."""

    network: nn.Module
    layouts: dict[str, MapLayout]


def cut_module(
    module: nn.Module, layers: Sequence[str], size: Size | None = None
) -> CutModule:
    """Cut a module at named layers.

    torch.fx traces the module and cuts it at the deepest of the layers; a
    module that cannot be traced runs with forward hooks until all outputs are
    collected. The module given is copied, not modified.

    Args:
        module: takes images (B, 3, H, W); must not be a wrapper, see
            `unwrapped`.
        layers: paths in the module.
        size: (H, W) of the images; None: try 64x64, the module's own size and
            224x224.

    Raises:
        ModelError: an unknown layer, a module that cannot be cut or copied, a
            size that it does not accept, or a layer output of unknown layout.
    """
    name = type(module).__name__
    _refuse_unknown_layers(module, layers)
    original = _copied(module, name)
    sizes = [size] if size else _sizes_to_try(original)
    network, probed = _cut(original, layers, sizes, name)
    probes = [probed, *_larger(network, probed.size)]
    layouts = {layer: _layout(layer, probes) for layer in layers}
    for layer, layout in layouts.items():
        if layout.kind == "tokens":
            _check_order(network, layer, layout, probed.size)
    return CutModule(network, layouts)


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module inside wrappers: DataParallel, DistributedDataParallel and torch.compile's.

    Raises:
        ModelError: a ScriptModule; its inner layers are not accessible.
    """
    while True:
        if isinstance(module, torch.jit.ScriptModule):
            raise ModelError(
                f"got {type(module).__name__}, a compiled TorchScript module without access to inner layers; "
                f"expected the nn.Module that it was made from"
            )
        if isinstance(
            module, (nn.DataParallel, nn.parallel.DistributedDataParallel)
        ):
            module = module.module
        elif hasattr(module, "_orig_mod"):
            module = module._orig_mod  # type: ignore[assignment]
        else:
            return module


class _Hooked(nn.Module):
    """Collects the outputs of named layers by forward hooks; stops the run after the last one."""

    def __init__(self, module: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.layers = tuple(layers)

    def forward(self, images: Tensor) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def collect(layer: str, output: Any) -> None:
            found[layer] = output
            # An exception would break the module stack of torch.export, which removes unused operations by itself.
            if (
                len(found) == len(self.layers)
                and not torch.compiler.is_compiling()
            ):
                raise _AllFound

        with self._hooks(collect), suppress(_AllFound):
            self.module(images)
        if missing := [layer for layer in self.layers if layer not in found]:
            raise ModelError(
                f"layers {missing} are not used by the module; expected layers that its forward calls"
            )
        return found

    def refuse_repeated(self, images: Tensor) -> None:
        """Refuse a layer that runs more than once per image, because its output is ambiguous."""
        calls: Counter[str] = Counter()
        with (
            self._hooks(lambda layer, _: calls.update([layer])),
            suppress(Exception),
        ):
            # A head after the layers may fail at this size; its output is unused.
            self.module(images)
        if repeated := [layer for layer, count in calls.items() if count > 1]:
            raise ModelError(
                f"layers {repeated} run more than once for an image; expected layers that run once"
            )

    @contextmanager
    def _hooks(self, action: Callable[[str, Any], None]) -> Iterator[None]:
        """Call `action(layer, output)` after each layer."""
        handles = []
        for layer in self.layers:
            handles.append(
                self.module.get_submodule(layer).register_forward_hook(
                    _hook(layer, action)
                )
            )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _hook(
    layer: str, action: Callable[[str, Any], None]
) -> Callable[[nn.Module, Any, Any], None]:
    return lambda _module, _inputs, output: action(layer, output)


class _AllFound(Exception):
    """Stops the run of a module after all outputs are collected."""


class _Probed:
    """Outputs of the layers for a batch of two images, and the image size (H, W)."""

    def __init__(self, size: Size, outputs: dict[str, Any]) -> None:
        self.size = size
        self.outputs = outputs


def _refuse_unknown_layers(module: nn.Module, layers: Sequence[str]) -> None:
    names = [name for name, _ in module.named_modules() if name]
    if unknown := [layer for layer in layers if layer not in names]:
        raise ModelError(
            f"got layers {unknown}; expected paths in {type(module).__name__}, such as {names[:3]}"
        )


def _copied(module: nn.Module, name: str) -> nn.Module:
    """Copy the module and set evaluation mode, without changing the caller's module."""
    try:
        return copy.deepcopy(module).eval()
    except Exception as error:  # graph tensors, locks and handles raise errors of different types
        raise ModelError(
            f"{name} cannot be copied ({first_line(error)}); expected a module of plain parameters: "
            f"build it again and load its state_dict"
        ) from error


def _sizes_to_try(module: nn.Module) -> list[Size]:
    config = getattr(module, "pretrained_cfg", None) or {}
    stated = config.get("input_size") if hasattr(config, "get") else None
    own = [(int(stated[1]), int(stated[2]))] if stated else []
    return [_SMALL_SIZE, *own, _USUAL_SIZE]


def _cut(
    module: nn.Module, layers: Sequence[str], sizes: Sequence[Size], name: str
) -> tuple[nn.Module, _Probed]:
    """Cut the module by tracing, else by hooks; return it with its outputs at the first size that it accepts."""
    failure: Exception | None = None
    for cut in (_traced(module, layers), _Hooked(module, layers)):
        if cut is None:
            continue
        for size in sizes:
            try:
                return cut, _probe(cut, size)
            except ModelError:
                raise
            except Exception as error:  # noqa: BLE001 - the module's own code: any type
                failure = failure or error
    tried = ", ".join(
        f"{height}x{width}" for height, width in dict.fromkeys(sizes)
    )
    raise ModelError(
        f"{name} does not take images of {tried} ({first_line(failure)}); expected a module from (B, 3, H, W), "
        f"and a size that it takes"
    ) from failure


def _traced(module: nn.Module, layers: Sequence[str]) -> nn.Module | None:
    """Cut the module with torch.fx; None if it cannot be traced."""
    from torchvision.models.feature_extraction import create_feature_extractor

    nodes = OrderedDict((layer, layer) for layer in layers)
    try:
        traced: nn.Module = create_feature_extractor(module, return_nodes=nodes)
    except Exception:  # noqa: BLE001 - tracing runs the module's own code, which may raise any type
        return None
    return traced


def _probe(cut: nn.Module, size: Size) -> _Probed:
    """Run two images through the module as fake tensors, which have shapes but no values."""
    reference = next(cut.parameters(), torch.zeros(()))
    try:
        with (
            torch.no_grad(),
            silenced(_FAKE_TENSORS_LOG),
            FakeTensorMode(allow_non_fake_inputs=True),
        ):
            images = torch.empty(
                2, 3, *size, dtype=reference.dtype, device=reference.device
            )
            if isinstance(cut, _Hooked):
                cut.refuse_repeated(images)
            return _Probed(size, dict(cut(images)))
    finally:
        # LeViT and similar networks cache biases, here as fake tensors. Setting the mode clears the cache.
        cut.eval()


def _larger(cut: nn.Module, size: Size) -> list[_Probed]:
    """Probe the module at a larger size; return an empty list if it accepts one size only."""
    larger = (size[0] * _GROWTH[0], size[1] * _GROWTH[1])
    try:
        return [_probe(cut, larger)]
    except Exception:  # noqa: BLE001 - the module's own code: any type
        return []


def _layout(layer: str, probes: Sequence[_Probed]) -> MapLayout:
    outputs = [probe.outputs[layer] for probe in probes]
    if other := [
        output for output in outputs if not isinstance(output, Tensor)
    ]:
        raise ModelError(
            f"layer {layer} gives a {type(other[0]).__name__}; expected one tensor: name another layer, such as one "
            f"inside it"
        )
    return layout_of(
        layer,
        [output.shape for output in outputs],
        [probe.size for probe in probes],
    )


def _check_order(
    cut: nn.Module, layer: str, layout: MapLayout, size: Size
) -> None:
    """Check that tokens lie row by row after the prefix: a change of one patch must change that patch's token most.

    Raises:
        ModelError: another token changes most.
    """
    reference = next(cut.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, *size, generator=generator).to(reference)
    columns = size[1] // layout.stride
    count = (size[0] // layout.stride) * columns
    corners = (0, columns - 1, count - columns, count - 1)
    with torch.no_grad():
        before = cut(images)[layer]
        for patch in corners:
            top, left = (
                (patch // columns) * layout.stride,
                (patch % columns) * layout.stride,
            )
            changed = images.clone()
            changed[
                :, :, top : top + layout.stride, left : left + layout.stride
            ] *= -1
            moved = (cut(changed)[layer] - before).square().sum(dim=2)
            if int(moved.argmax()) != layout.prefix + patch:
                raise ModelError(
                    f"layer {layer} gives tokens in an unknown order (a change of patch {patch} changes another token "
                    f"most); expected row by row after {layout.prefix} prefix tokens: name another layer, or wrap the "
                    f"module so that the layer gives (B, C, h, w)"
                )


@contextmanager
def silenced(name: str) -> Iterator[None]:
    """Suppress all but critical messages of a logger within the block."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def first_line(error: BaseException | None) -> str:
    """Return the first line of an error's text, or its type's name if the text is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]
