"""Bundles with an INT8 search: the same answers, a proof of the search, and no trace of it in what is shipped."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from anomedge.bundle import SEARCH_STAGES, Bundle
from anomedge.errors import InputError
from anomedge.export import search
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.graphs import FORBIDDEN
from anomedge.export.search import check_search, record_of, with_search
from anomedge.export.tracing import graph_from_model
from anomedge.inspector import Inspector
from anomedge.lint.vendors import ask
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry, Tiling
from tests.conftest import FRAME, RUNTIMES, tiny_options
from tests.export.test_regions import run
from tests.images.test_regions import mask_file


@pytest.fixture(scope="module")
def exported(model_paths, pictures, tmp_path_factory):
    """A bundle of PatchCore with an INT8 search, and its certificate."""
    path = tmp_path_factory.mktemp("search") / "part.anomedge"
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        runtimes=RUNTIMES,
        batches=[1, 3],
        search="int8",
    )
    return path, export(model_paths["patchcore"], path, options)


def test_the_bundle_keeps_the_tolerances_of_float32(exported):
    _, certificate = exported
    assert certificate.passed
    assert {cell.runtime for cell in certificate.cells} == set(RUNTIMES)
    for cell in certificate.cells:
        assert cell.score_error <= 1e-4
        assert not cell.flips
    proofs = [check for check in certificate.checks if check.kind == "search"]
    assert [check.runtime for check in proofs] == [*RUNTIMES]
    assert all("of the patches are proven" in check.detail for check in proofs)


def test_what_is_shipped(exported):
    bundle = Bundle.open(exported[0])
    assert not {*SEARCH_STAGES} & {*bundle.manifest.stages}
    shipped = onnx.load(bundle.file("model.onnx"))
    onnx.checker.check_model(shipped, full_check=True)
    assert [o.name for o in shipped.graph.output] == ["score", "anomaly_map"]
    kinds = {node.op_type for node in shipped.graph.node}
    assert not kinds & {*FORBIDDEN, "Shape", "Expand"}
    stored = {t.name: t for t in shipped.graph.initializer}
    banks = [t for n, t in stored.items() if "search.bank" in n]
    assert {t.data_type for t in banks} == {TensorProto.INT8}
    record = bundle.manifest.search
    assert (record.candidates, record.limit) in {(8, 127), (8, 64)}
    copies = [
        len(t.raw_data)
        for n, t in stored.items()
        if any(part in n for part in ("search.bank", "search.scales"))
    ]
    assert 0 < sum(copies) < record.bytes < 1.5 * sum(copies)
    # Nothing is left of the proof: every node leads to an output.
    read = {name for node in shipped.graph.node for name in node.input}
    read |= {"score", "anomaly_map"}
    assert all(read & {*node.output} for node in shipped.graph.node)
    assert {*stored} <= read
    tapped = onnx.load(bundle.file("stages.onnx"), load_external_data=False)
    assert {*SEARCH_STAGES} <= {o.name for o in tapped.graph.output}


def test_verify_and_inspect_tell(exported, model_paths, capsys):
    options = ("--batch", "1", "--runtime", RUNTIMES[0], "--stages")
    path = exported[0]
    assert (
        run("verify", path, "--model", model_paths["patchcore"], *options) == 0
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert "of the patches are proven" in shown
    assert run("inspect", path) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "INT8, 8 candidates for each patch" in shown


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tiles", "mask"])
def test_tiles_and_regions(part, pictures, tmp_path):
    geometry = Geometry((96, 112), tiling=Tiling((64, 64), 16))
    more = {"geometry": geometry}
    if part == "mask":
        inside = np.zeros(FRAME, bool)
        inside[10:80, 20:90] = True
        more = {"roi": mask_file(tmp_path / "mask.png", inside)}
    path = tmp_path / "part.safetensors"
    with pytest.warns(UserWarning):
        options = tiny_options(pictures, **more)
        save(fit("patchcore", pictures / "train", options), path)
    bundle = tmp_path / "part.anomedge"
    options = ExportOptions(
        frame=FRAME, runtimes=RUNTIMES, batches=[2], search="int8"
    )
    certificate = export(path, bundle, options)
    assert certificate.passed
    with Inspector.open(bundle) as inspector:
        assert np.isfinite(
            inspector.predict_batch([np.zeros((*FRAME, 3), np.uint8)])[0].score
        )


@pytest.mark.slow
def test_tensorrt_builds_it(exported):
    pytest.importorskip("tensorrt_rtx")
    verdict = ask("rtx", exported[0] / "model.onnx", "2", 300)
    assert not verdict.faults


@pytest.mark.slow
def test_a_graph_of_another_search_gives_the_same_stages(models):
    """The detector is the same: what differs are the two stages of the proof."""
    twin = replace(
        models["patchcore"],
        pipeline=models["patchcore"].pipeline.with_int8_search(limit=64),
    )
    _, plain = graph_from_model(models["patchcore"], FRAME, None, 17)
    _, searched = graph_from_model(twin, FRAME, None, 17)
    assert [name for name in searched if name not in SEARCH_STAGES] == plain
    assert record_of(twin).limit == 64
    assert record_of(models["patchcore"]) is None


def options(**changed):
    return ExportOptions(frame=FRAME, **changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"search": "int4"}, "got search 'int4'; expected one of: fp32, int8, auto"),
        (
            {"search": "int8", "precisions": ["fp32", "fp16-storage"]},
            "got search int8 with precision fp16-storage",
        ),
    ],
)  # fmt: skip
def test_impossible_searches_are_refused(changed, message):
    with pytest.raises(InputError) as error:
        check_search(options(**changed))
    assert message in str(error.value)


def test_a_detector_without_a_bank_is_refused(models):
    with pytest.raises(InputError, match="expected a detector with a memory"):
        with_search(models["padim"], options(search="int8"))
    model = models["padim"]
    assert with_search(model, options(search="auto")) is model


@pytest.mark.parametrize(
    ("fast", "pays", "changed", "searched"),
    [
        (True, True, {}, True),
        (True, False, {}, False),
        (False, True, {}, False),
        (True, True, {"precisions": ["fp32", "fp16-storage"]}, False),
    ],
)
def test_auto_takes_int8_where_it_pays(
    fast, pays, changed, searched, models, monkeypatch
):
    model = models["patchcore"]
    least = model.pipeline.config.n_vectors + (0 if pays else 1)
    monkeypatch.setattr(search, "adds_byte_products", lambda: fast)
    monkeypatch.setattr(search, "_PAYS_FROM", least)
    found = with_search(model, options(search="auto", **changed))
    assert (record_of(found) is not None) is searched
    assert with_search(model, options()) is model


@pytest.mark.parametrize(("fast", "limit"), [(True, 127), (False, 64)])
def test_the_limit_suits_the_processor(fast, limit, models, monkeypatch):
    monkeypatch.setattr(search, "adds_byte_products", lambda: fast)
    found = with_search(models["patchcore"], options(search="int8"))
    assert record_of(found).limit == limit


def test_the_model_file_stays_as_it_is(models, tmp_path):
    model = models["patchcore"]
    before = {*model.pipeline.state_dict()}
    with_search(model, options(search="int8"))
    assert {*model.pipeline.state_dict()} == before
    save(model, tmp_path / "m.safetensors")
    assert {*load(tmp_path / "m.safetensors").pipeline.state_dict()} == before
