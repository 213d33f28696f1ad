import inspect

from anomedge import runtimes
from anomedge.commands._common_options import (
    chosen_options,
    with_engine_options,
)


def command(path: str, force: bool = False, **options: object) -> None:
    raise AssertionError((path, force, options))


def test_engine_options_are_those_of_the_runtimes():
    shown = inspect.signature(with_engine_options(command)).parameters
    expected = {"path", "force"}
    for runtime in runtimes.available().values():
        if runtime.builds_engines:
            expected |= set(runtime.Options.model_fields)
    # `build` states these itself; a CUDA graph belongs to runs, not to engines.
    expected -= {"device", "precision", "batches", "cuda_graph"}
    assert set(shown) == expected
    assert {"dla", "workspace", "version_compatible"} <= expected


def test_only_given_options_are_passed_on_and_sizes_are_in_mib():
    given = {"workspace": 2, "tf32": False, "dla": None, "stages": True}
    assert chosen_options(given) == {"workspace": 2 << 20, "stages": True}
    assert chosen_options({"dla": 0}) == {"dla": 0}
