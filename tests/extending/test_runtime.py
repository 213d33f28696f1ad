"""A runtime of an installed distribution works in every command; no file of anomedge names it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from anomedge import Inspector, runtimes
from anomedge.errors import DeviceMismatch, InputError, RuntimeMissing
from tests.extending.distribution import environment_with, install_distribution

GROUP = "anomedge.runtimes"

SESSION = '''
"""A mock runtime: ONNX Runtime under another name, with an option and a device of its own."""

from typing import Literal

from anomedge.errors import DeviceMismatch
from anomedge.runtimes.base import Session
from anomedge.runtimes.options import Options
from anomedge.runtimes.specs import TensorSpec


class MockOptions(Options):
    order: Literal["plain", "sorted"] = "plain"


class MockSession(Session):
    name = "mock"
    short = "mk"
    vendor = "mock_vendor"
    devices = ("mock:0",)
    default_device = "mock:0"
    Options = MockOptions

    @property
    def version(self):
        return "1.0"

    @classmethod
    def check_device(cls, device):
        if device != "mock:0":
            raise DeviceMismatch(f"mock: got device {device!r}; expected mock:0")

    def _open(self):
        import mock_vendor

        self.check_device(self.device)

        self._vendor = mock_vendor.load(self.graph.load().in_one_piece())
        self._assert_running_on("mock:0", self.device)

    def _specs(self):
        return tuple(
            {name: TensorSpec(*spec) for name, spec in specs.items()}
            for specs in self._vendor.specs()
        )

    def _run(self, feed):
        return self._vendor.run(feed)
'''

VENDOR = """
import numpy as np
import onnxruntime

TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}

class Model:
    def __init__(self, content):
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def specs(self):
        for nodes in (self.session.get_inputs(), self.session.get_outputs()):
            yield {
                node.name: (TYPES[node.type], tuple(n if isinstance(n, int) else None for n in node.shape))
                for node in nodes
            }

    def run(self, feed):
        names = [node.name for node in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, dict(feed))))

load = Model
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed distributions, with the mock runtime."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "mock_vendor.py").write_text(VENDOR)
    install_distribution(
        folder,
        "anomedge_mock",
        SESSION,
        {GROUP: "mock = anomedge_mock:MockSession"},
    )
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("mock_vendor", "anomedge_mock", "anomedge_broken"):
        sys.modules.pop(name, None)


def command(site, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "anomedge", *arguments],
        env={**environment_with(site), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def test_it_is_found_by_full_and_short_name(site):
    assert "mock" in runtimes.available()
    assert "mock" in runtimes.usable()
    assert runtimes.get("mock") is runtimes.get("MK")
    assert {"mock", "mk"} <= set(runtimes.spellings())
    with pytest.raises(InputError, match=r"expected one of: mock \(mk\), onnx"):
        runtimes.get("caffe")


def test_it_is_the_default_only_without_a_runtime_of_anomedge(
    site, bundle_paths, monkeypatch
):
    with Inspector.open(bundle_paths["padim"]) as inspector:
        assert inspector.session.name == "onnxruntime"
    monkeypatch.setattr(runtimes, "usable", lambda: ["mock"])
    assert runtimes.choice_here().runtime == "mock"


def test_its_options_and_devices_are_its_own(site):
    mock = runtimes.get("mock")
    options = runtimes.options_for(mock, order="sorted", threads=2)
    assert (options.order, options.device) == ("sorted", None)
    with pytest.raises(InputError, match="got order='up'; expected 'plain'"):
        runtimes.options_for(mock, order="up")
    with pytest.raises(
        InputError, match=r"mock takes no option hint.*openvino"
    ):
        runtimes.options_for(mock, hint="latency")
    with pytest.raises(
        InputError, match=r"onnxruntime takes no option order.*mock"
    ):
        runtimes.options_for(runtimes.get("ort"), order="sorted")


def test_a_missing_vendor_says_how_to_install_it(site):
    (site / "mock_vendor.py").unlink()
    assert "mock" not in runtimes.usable()
    with pytest.raises(RuntimeMissing, match="pip install mock_vendor"):
        runtimes.get("mock")


def test_a_broken_plugin_affects_no_other_runtime(site):
    code = "raise ImportError('no driver')"
    install_distribution(
        site,
        "anomedge_broken",
        code,
        {GROUP: "broken = anomedge_broken:Broken"},
    )
    sys.path[:] = [*sys.path, str(site / "elsewhere")]
    try:
        assert {"mock", "onnxruntime"} <= set(runtimes.available())
        assert "broken" not in runtimes.usable()
        with pytest.raises(
            InputError, match="'broken' of anomedge_broken cannot be loaded"
        ):
            runtimes.get("broken")
    finally:
        sys.path.remove(str(site / "elsewhere"))


def test_a_device_of_some_runtimes_is_refused_for_the_others(site):
    runtimes.check_device(["onnxruntime", "mock"], None)
    with pytest.raises(
        DeviceMismatch,
        match=r"openvino: got device 'mock:0'.*; mock has it: run one command",
    ):
        runtimes.check_device(["openvino", "mock"], "mock:0")


def test_it_opens_and_gives_the_vendor_s_values(site, bundle_paths):
    frames = np.random.default_rng(0).integers(
        0, 256, (2, 96, 128, 3), dtype=np.uint8
    )
    scores = []
    for runtime in ("mock", "onnxruntime"):
        with Inspector.open(
            bundle_paths["padim"], runtime=runtime
        ) as inspector:
            scores.append([r.score for r in inspector.predict(frames)])
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    with pytest.raises(DeviceMismatch, match="got device 'cpu'"):
        Inspector.open(bundle_paths["padim"], runtime="mock", device="cpu")


def test_commands_offer_it(site):
    code, out, err = command(site, "verify", "--help")
    assert code == 0, err
    assert "mock (mk)" in out
    assert "mock:0 (mock)" in out


def test_it_is_verified_measured_and_used(site, bundle_paths, pictures):
    bundle = str(bundle_paths["padim"])
    code, out, err = command(
        site, "verify", bundle, "--runtime", "mock", "ort", "--batch", "1", "--json"
    )  # fmt: skip
    assert code == 0, err
    cells = json.loads(out)["cells"]
    assert [cell["runtime"] for cell in cells] == ["mock", "onnxruntime"]
    assert cells[0]["running_on"] == "mock:0"
    code, out, err = command(
        site, "bench", bundle, "--runtime", "mock", "--batch", "1", "--rounds", "1", "--json"
    )  # fmt: skip
    assert code == 0, err
    assert [row["runtime"] for row in json.loads(out)] == ["mock"]
    folder = str(pictures / "test")
    code, out, err = command(
        site, "predict", bundle, folder, "--runtime", "mock", "--json"
    )
    assert code == 0, err
    assert json.loads(out)
