"""Options of runtimes on GPUs."""

import pytest

from anomedge import runtimes
from anomedge.errors import InputError
from anomedge.runtimes import options_for
from anomedge.runtimes.nvidia.options import TF32, GpuOptions

ON_GPUS = [
    name
    for name, runtime in runtimes.available().items()
    if issubclass(runtime.Options, GpuOptions)
]


def test_the_runtimes_on_gpus():
    assert sorted(ON_GPUS) == ["onnxruntime", "tensorrt", "tensorrt-rtx"]
    for name in ON_GPUS:
        assert runtimes.registry.get(name).Options.modes == (TF32,)


@pytest.mark.parametrize("name", ON_GPUS)
def test_nothing_is_asked_of_a_gpu_by_default(name):
    options = options_for(runtimes.registry.get(name))
    asked = {
        field: getattr(options, field)
        for field in GpuOptions.model_fields
        if field.startswith(("tf32", "cuda", "hardware", "work", "cache"))
    }
    assert not any(asked.values())
    assert len(asked) == 5


@pytest.mark.parametrize("name", ON_GPUS)
@pytest.mark.parametrize("size", [0, -1, (1 << 20) - 1])
def test_a_workspace_has_a_mebibyte_at_least(name, size):
    runtime = runtimes.registry.get(name)
    with pytest.raises(InputError, match=f"got workspace={size}; expected"):
        options_for(runtime, workspace=size)
    assert options_for(runtime, workspace=1 << 20).workspace == 1 << 20


def test_an_engine_does_not_depend_on_options_that_only_run():
    only_runs = {
        name
        for name, field in GpuOptions.model_fields.items()
        if (field.json_schema_extra or {}).get("only_runs")
    }
    assert "cuda_graph" in only_runs
    assert not only_runs & {"tf32", "workspace", "hardware_compatible"}
