"""OpenVINO: a release that reads no float16 beside a graph, and the mode bf16."""

import numpy as np
import pytest

from anomedge import runtimes
from anomedge.errors import DeviceMismatch, InputError, RuntimeFailure
from anomedge.parity import prove
from anomedge.parity.golden import read_golden
from anomedge.precisions import PRECISIONS
from anomedge.runtimes import ov
from anomedge.runtimes.compiled_models import VARIABLE
from anomedge.verification import plan_of
from tests.conftest import RUNTIMES


def test_an_openvino_that_reads_no_float16_beside_the_graph_says_which_one_does(
    tmp_path, monkeypatch
):
    path = tmp_path / "stages.fp16.onnx"
    path.write_bytes(b"as OpenVINO 2024 finds it")
    monkeypatch.setattr(runtimes.get("ov"), "version", "2024.6.0")
    with pytest.raises(
        RuntimeFailure,
        match=r"2024\.6\.0 could not read stages\.fp16\.onnx \(.*expected 2025\.0",
    ):
        runtimes.open(path, "ov", precision="fp16")
    for version, precision in (("2024.6.0", "fp32"), ("2025.0.0", "fp16")):
        monkeypatch.setattr(runtimes.get("ov"), "version", version)
        with pytest.raises(RuntimeFailure, match="could not open") as failure:
            runtimes.open(path, "ov", precision=precision)
        assert "expected 2025" not in str(failure.value)


def has_bf16() -> bool:
    openvino = ov.import_openvino()
    name = openvino.properties.device.capabilities
    return "BF16" in ov._core().get_property("CPU", name)


def test_bf16_is_refused_where_the_device_has_none(bundle, monkeypatch):
    class Core:
        available_devices = ("CPU",)

        def get_property(self, _device, _name):
            return ["FP32", "INT8"]

    monkeypatch.setattr(ov, "_core", Core)
    with pytest.raises(DeviceMismatch, match="got precision bf16 on CPU"):
        runtimes.open(bundle, "openvino", precision="bf16")


@pytest.mark.skipif(not has_bf16(), reason="the CPU has no bfloat16")
def test_bf16_computes_in_bf16_and_is_proven_to_its_own_tolerance(bundle):
    frames = read_golden(bundle).pictures[0].frame(bundle.manifest.framing)
    with (
        runtimes.open(bundle, "openvino") as exact,
        runtimes.open(bundle, "openvino", precision="bf16") as coarse,
    ):
        expected = exact.run({"frames": frames[None]})["score"]
        found = coarse.run({"frames": frames[None]})["score"]
    assert not np.array_equal(expected, found)
    plan = plan_of(bundle, ["openvino"], [1, 2], "bf16")
    certificate = prove(bundle, read_golden(bundle), plan)
    allowed = PRECISIONS.get("bf16").tolerance
    assert certificate.passed
    assert all(
        1e-6 < cell.score_error < allowed.score for cell in certificate.cells
    )


IR = """<net name="n" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
<output><port id="0" precision="FP32" names="x"><dim>1</dim></port></output></layer>
<layer id="1" name="y" type="Result" version="opset1"><input><port id="0" precision="FP32"><dim>1</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges><rt_info>{}</rt_info></net>"""


@pytest.mark.skipif("openvino" not in RUNTIMES, reason="OpenVINO's reading")
@pytest.mark.parametrize(
    "forged",
    [
        '<model_info xmlns="x"><a value="2"/></model_info>',
        '<info name="model_info"><a value="2"/></info>',
    ],
)
def test_openvino_reads_the_last_of_two_sections(forged):
    plain = '<model_info><a value="1"/></model_info>'
    for entries, found in (
        ("", {}),
        (plain, {"a": "1"}),
        (plain + forged, {"a": "2"}),
    ):
        content = IR.format(entries).encode()
        assert ov.rt_info_as_read(content, b"", "model_info") == found


def test_a_model_that_was_compiled_before_is_not_compiled_again(
    bundle, tmp_path, monkeypatch
):
    folder = tmp_path / "cache"
    frames = read_golden(bundle).pictures[0].frame(bundle.manifest.framing)
    feed = {"frames": frames[None]}
    with runtimes.open(bundle, "openvino", threads=1) as plain:
        expected = plain.run(feed)
    with runtimes.open(bundle, "openvino", threads=1, cache=folder):
        pass
    compiled = ov.OvSession._compile
    monkeypatch.delattr(ov.OvSession, "_compile")
    with runtimes.open(bundle, "openvino", threads=1, cache=folder) as again:
        found = again.run(feed)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    # Another number of threads is another compiled model, and a changed entry is none.
    with pytest.raises(RuntimeFailure, match="_compile"):
        runtimes.open(bundle, "openvino", threads=2, cache=folder)
    (entry,) = folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    with pytest.raises(RuntimeFailure, match="_compile"):
        runtimes.open(bundle, "openvino", threads=1, cache=folder)
    monkeypatch.setattr(ov.OvSession, "_compile", compiled, raising=False)
    runtimes.open(bundle, "openvino", threads=1, cache=folder).close()
    assert entry.exists()


def test_an_entry_that_openvino_does_not_import_is_compiled_again(
    bundle, tmp_path
):
    folder = tmp_path / "cache"
    with runtimes.open(bundle, "openvino", cache=folder) as session:
        kept = session._kept(ov._core(), "CPU", session._settings())
    kept.write(b"not of OpenVINO")
    runtimes.open(bundle, "openvino", cache=folder).close()
    assert kept.path.stat().st_size > 10_000


def test_a_proof_runs_what_later_openings_import(bundle, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv(VARIABLE, str(folder))
    imported = []
    core = ov._core()

    class Core:
        def __getattr__(self, name):
            return getattr(core, name)

        def import_model(self, content, *arguments):
            imported.append(content)
            return core.import_model(content, *arguments)

        def compile_model(self, *arguments):
            compiled = core.compile_model(*arguments)
            return Exported(compiled.export_model())

    class Exported:
        def __init__(self, content):
            self.export_model = lambda: content

    monkeypatch.setattr(ov, "_core", Core)
    plan = plan_of(bundle, ["openvino"], [1])
    certificate = prove(bundle, read_golden(bundle), plan)
    assert certificate.passed, certificate
    assert imported


def test_a_cache_in_the_bundle_is_refused(bundle):
    folder = bundle.path / "cache"
    with pytest.raises(InputError, match="expected a place outside"):
        runtimes.open(bundle, "openvino", cache=folder)
    assert not folder.exists()
