"""Options reach the builder."""

import pytest

from anomedge.errors import InputError
from tests.runtimes.tensorrt.engines import made


def test_tf32_is_cleared_unless_asked_for(trt, graph):
    made(graph())
    assert "TF32" not in trt.config._flags
    made(graph(), tf32=True)
    assert "TF32" in trt.config._flags


def test_options_reach_the_builder(trt, graph):
    made(
        graph(),
        workspace=1 << 28,
        version_compatible=True,
        hardware_compatible=True,
        batches=(2, 3, 7),
    )
    assert trt.config._pools == {"WORKSPACE": 1 << 28}
    assert trt.config._flags == {"VERSION_COMPATIBLE"}
    assert (
        trt.config.hardware_compatibility_level
        == trt.HardwareCompatibilityLevel.AMPERE_PLUS
    )
    assert trt.config._profiles[0]._shapes == {
        "frames": ((2, 4, 6, 3), (3, 4, 6, 3), (7, 4, 6, 3))
    }
    assert "IBuilderConfig.num_compute_capabilities" not in trt.journal


@pytest.mark.parametrize(
    "wrong", [{"workspace": 5}, {"batches": (1, 9, 8)}, {"batches": (0, 1, 8)}]
)
def test_options_out_of_range(new, graph, wrong):
    with pytest.raises(InputError, match="expected"):
        made(graph(), **wrong)


def test_threads_are_those_of_the_builder(trt, graph):
    made(graph())
    assert "Builder.max_threads" not in trt.journal
    made(graph(), threads=3)
    assert "Builder.max_threads" in trt.journal
