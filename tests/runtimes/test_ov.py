"""OpenVINO: a release that reads no float16 beside a graph."""

import pytest

from anomedge import runtimes
from anomedge.errors import RuntimeFailure


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
