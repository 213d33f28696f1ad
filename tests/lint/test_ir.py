"""An OpenVINO IR in the graph model of the rules."""

from anomedge.lint import examine
from anomedge.lint.vendors import ask
from tests.lint.lint_cases import CASES, loop, resize


def test_an_ir_is_linted_as_openvino_reads_it(bundle_paths, tmp_path):
    import openvino

    from anomedge.lint.ir import graph_of_ir
    from anomedge.runtimes.ov import _core

    for name, case in (
        ("resize", resize(mode="linear", antialias=1)),
        ("loop", loop()),
        ("top", CASES["non_zero"]),
    ):
        graph = _core().read_model(case.SerializeToString())
        openvino.save_model(
            graph, tmp_path / f"{name}.xml", compress_to_fp16=False
        )
    described = {
        n: ask("openvino", tmp_path / f"{n}.xml", "read", 60).described
        for n in ("resize", "loop", "top")
    }
    graphs = {
        n: graph_of_ir(tmp_path / f"{n}.xml", said, 8)
        for n, said in described.items()
    }
    assert [
        n.attributes for n in graphs["resize"].nodes if n.op == "Resize"
    ] == [{"antialias": 1}]
    assert [n.op for n in graphs["loop"].nodes if n.op == "Loop"] == ["Loop"]
    assert graphs["top"].open_axes == {"x": (0,)}
    found = [
        f
        for f in examine(bundle_paths["padim"], ["openvino-npu"]).findings
        if f.graph == "openvino/model.xml"
    ]
    assert {(f.rule, f.severity) for f in found} == {
        ("static", "error"),
        ("fp16", "warning"),
    }
