"""Device figures: every one with its source, derived ones with a formula that gives the value, files of one's own."""

import json
import re
from math import prod

import pytest

from anomedge.budget import available, load
from anomedge.errors import InputError

KINDS = ("fp32", "fp16", "int8", "bandwidth", "memory")


@pytest.mark.parametrize("name", available())
def test_figures_have_sources_and_plausible_sizes(name):
    device = load(name)
    ranges = {
        "fp32": (1e11, 1e14),
        "fp16": (1e12, 1e15),
        "int8": (1e11, 1e15),
        "bandwidth": (1e10, 1e12),
    }
    for kind in KINDS:
        figure = getattr(device, kind)
        if figure is not None:
            low, high = ranges.get(kind, (2**30, 2**38))
            assert low <= figure.value <= high, kind
            assert len(figure.source) > 20, kind
    if device.int8 is not None and device.fp16 is not None:
        assert device.fp32.value < device.fp16.value < device.int8.value


@pytest.mark.parametrize(
    "name", [name for name in available() if name.startswith("jetson")]
)
def test_a_gpus_float32_is_cores_and_clock(name):
    """Two operations a core and clock: the formula in words is computed again."""
    device = load(name)
    cores, two, megahertz = (
        int(n) for n in re.findall(r"\d+", device.fp32.derived or "")
    )
    assert two == 2
    assert device.fp32.value == pytest.approx(
        prod((cores, two, megahertz)) * 1e6
    )


@pytest.mark.parametrize(
    "name", [name for name in available() if name.startswith("intel")]
)
def test_a_cpus_float32_is_cores_clock_and_lanes(name):
    device = load(name)
    terms = (
        (device.fp32.derived or "")
        .replace(" cores", "")
        .split("(")[0]
        .split("+")
    )
    factors = [re.findall(r"[\d.]+", term) for term in terms]
    assert all(len(factor) == 3 for factor in factors)
    assert device.fp32.value == pytest.approx(
        sum(prod(map(float, factor)) for factor in factors) * 1e9
    )


def test_the_devices_of_the_issue_are_there():
    assert {
        "jetson-orin-nano",
        "jetson-agx-orin",
        "jetson-orin-nx",
        "intel-n100",
    } <= set(available())


def test_the_limit_is_the_slower_of_arithmetic_and_memory():
    device = load("jetson-orin-nano")
    assert device.seconds(1.28e12, 0) == pytest.approx(1)
    assert device.seconds(1.28e12, 136e9) == pytest.approx(2)
    assert device.held_by(1.28e12, 1) == "arithmetic"
    assert device.held_by(1.28e12, 136e9) == "memory"


@pytest.mark.slow
def test_a_board_of_ones_own(tmp_path):
    own = {
        "title": "our box",
        "fp32": {"value": 1e12, "source": "measured"},
        "bandwidth": {"value": 5e10, "source": "measured"},
        "release": "ours",
    }
    path = tmp_path / "box.json"
    path.write_text(json.dumps(own))
    assert load(str(path)).seconds(1e12, 0) == 1
    assert load(str(path)).memory is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a valid description of a device (is not JSON"),
        ("{", "is not a valid description of a device (is not JSON"),
        (
            '{"title": "x"}',
            "is not a valid description of a device (fp32: Field required",
        ),
        ('{"title": "x", "fp32": {"value": -1, "source": "s"}}', "fp32.value"),
        (
            '{"title": "x", "fp32": {"value": 1e999, "source": "s"}}',
            "fp32.value",
        ),
        ('{"title": "x", "fp32": {"value": 1}}', "fp32.source"),
        ('{"title": "x", "fp32": {"value": "1", "source": "s"}}', "fp32.value"),
        ('{"title": "x", "title": "y"}', "the key 'title' twice"),
        (" " * 70_000, "got 70000 bytes; expected at most 65536"),
    ],
)
def test_other_files_are_refused(text, said, tmp_path):
    path = tmp_path / "box.json"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(said)):
        load(str(path))


@pytest.mark.parametrize(
    "name", ["jetson", "../device", "jetson-orin-nano/", "missing.json", "."]
)
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match="expected"):
        load(name)
