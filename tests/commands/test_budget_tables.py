"""The tables of a budget: sources, shares of the limit, and advice."""

from types import SimpleNamespace

from anomedge.budget import Device, Figure
from anomedge.budget.memory import Memory
from anomedge.budget.stages import StageCost
from anomedge.budget.summary import Budget
from anomedge.commands._budget_tables import content, shown
from tests.commands.rendering import text_of

DEVICE = Device(
    title="the box",
    fp32=Figure(value=1e12, source="data sheet", derived="10 x 100 GHz"),
    bandwidth=Figure(value=1e10, source="data sheet"),
    memory=Figure(value=8e9, source="the label"),
    release="JetPack 6",
)
STAGES = (
    StageCost("preprocessed", (2, 3, 8, 8), 10**9, 0, 10**6, 0),
    StageCost("features/a", (2, 4, 4, 4), 4 * 10**9, 10**6, 10**6, 0),
    StageCost("score", (2,), 0, 0, 10**7, 10**7),
)
MEMORY = Memory(
    constants=10**6,
    copies=0,
    freed=0,
    opening=10**7,
    inputs=10**6,
    values=10**6,
    largest=(SimpleNamespace(shape=(2, 3, 8, 8), bytes=1536, name="x"),),
    arena=10**6,
    reused=0,
    session=10**6,
)
BUDGET = Budget((480, 640), 2, {"model.onnx": 10**6}, MEMORY, STAGES)


def printed(device=DEVICE, suggestions=(), assumed=False):
    return text_of(*shown(BUDGET, device, suggestions, assumed))


def test_figures_have_their_sources_once():
    text = printed()
    assert "the box" in text
    assert "float32 1 TFLOP/s 10 x 100 GHz" in text
    assert "int8" not in text
    assert text.count("source: data sheet") == 1
    assert "source: the label" in text
    assert "\\n" not in text


def test_each_stage_has_its_limit_and_what_holds_it():
    """In all 1 + 4 ms of arithmetic, and 1 ms of 10 MB, of two frames: 3 ms a frame."""
    text = printed()
    assert "frames of 480x640; batch 2; float32" in text
    assert "preprocessed 2x3x8x8 1 GFLOP 0 B 1.0 MB 0.500 17% arithmetic" in text  # fmt: skip
    assert "features/a 2x4x4x4 4 GFLOP 1.0 MB 1.0 MB 2.000 67% arithmetic" in text  # fmt: skip
    assert "score 2 0 FLOP 0 B 10.0 MB 0.500 17% memory" in text
    assert "all 5 GFLOP 1.0 MB 12.0 MB 3.000" in text
    assert "limit: 3 ms a frame, 333.3 frames a second; 3.5 ms where" in text


def test_the_peak_is_a_share_of_the_devices_memory():
    assert "peak 10.0 MB 0.1% of the device's; under ONNX" in printed()
    unknown = DEVICE.model_copy(update={"memory": None})
    text = printed(unknown)
    assert "of the device's" not in text
    assert text.endswith("no part takes over half of the limit")
    assert printed().endswith("half of the limit, and it fits")


def test_an_assumed_frame_is_said_and_suggestions_are_listed():
    text = printed(suggestions=["fit with --size 96x96"], assumed=True)
    assert "frames of 480x640, assumed (--frame)" in text
    assert "to change: - fit with --size 96x96 Fit and verify again" in text


def test_json_has_the_device_and_the_suggestions():
    found = content(BUDGET, DEVICE, ("a", "b"))
    assert found["suggestions"] == ["a", "b"]
    assert found["device"]["fp32"]["derived"] == "10 x 100 GHz"
    assert found["milliseconds"] == BUDGET.milliseconds(DEVICE)
    assert len(found["stages"]) == 3
