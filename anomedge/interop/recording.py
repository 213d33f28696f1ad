"""Record outputs of submodules while a module runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from typing_extensions import Self

from anomedge.errors import ModelError

__all__ = ["Recorder"]


class Recorder:
    """Record outputs of submodules by name, in the order of computation, inside a `with` block.

    Args:
        module: the module that runs.
        paths: dotted path of the submodule of each name.

    Raises:
        ModelError: a submodule ran twice or returned no tensor; after the block, one did not run.
    """

    def __init__(self, module: nn.Module, paths: Mapping[str, str]) -> None:
        self.outputs: dict[str, Tensor] = {}
        self._module, self._paths = module, paths
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, path in self._paths.items():
            submodule = self._module.get_submodule(path)
            handle = submodule.register_forward_hook(self._hook(name))
            self._handles.append(handle)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        missing = [name for name in self._paths if name not in self.outputs]
        if kind is None and missing:
            raise ModelError(
                f"the submodule {self._paths[missing[0]]}, stage {missing[0]}, did not run; expected one that forward calls"
            )

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            path = self._paths[name]
            if name in self.outputs:
                raise ModelError(
                    f"the submodule {path}, stage {name}, ran twice; expected one that runs once for each batch"
                )
            if not isinstance(output, Tensor):
                raise ModelError(
                    f"the submodule {path}, stage {name}, returned a {type(output).__name__}; expected a tensor"
                )
            # A copy, because later layers may write into the output.
            self.outputs[name] = output.clone()

        return record
