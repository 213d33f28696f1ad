"""What float16 cannot hold is refused by name where the export halves it, and named where somebody else might."""

import copy
import json
import warnings
from dataclasses import replace

import onnx
import pytest
from torch import nn

from anomedge.__main__ import application
from anomedge.bundle import Bundle
from anomedge.bundle.ranges import LARGEST, LEAST, SAFETY, Range
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import ExportError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.precision.preflight import (
    LoweringWarning,
    _statistics,
    assert_halvable,
    preflight,
    warn_of_lowering,
)
from anomedge.export.precision.storage import store_halved
from anomedge.parity.pictures import extremes, synthetic
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.model import save
from tests.conftest import FRAME
from tests.export.passes.graphs import product_graph
from tests.export.precision.ranges import by_name


def checked(model):
    pictures = [*synthetic(FRAME, count=1), *extremes(FRAME)[:2]]
    return preflight(
        model,
        folded_networks(model.pipeline, model.geometry, None),
        pictures,
        FRAME,
        None,
    )


def planted(model, change):
    twin = replace(model, pipeline=copy.deepcopy(model.pipeline))
    change(twin.pipeline)
    return twin


def norms_of(pipeline):
    return {
        name: part
        for name, part in pipeline.named_modules()
        if isinstance(part, nn.BatchNorm2d)
    }


@pytest.mark.parametrize(
    ("size", "kept"), [(1e-9, True), (1e-5, True), (1.0, False)]
)
def test_statistics_too_small_for_float16_stay_in_float32(models, size, kept):
    rows = models["padim"].pipeline.gaussian.get_buffer("rows0")

    def change(pipeline):
        pipeline.gaussian.get_buffer("rows0").mul_(size / rows.abs().max())

    model = planted(models["padim"], change)
    weights = model.pipeline.gaussian.get_buffer("rows0").numpy().copy()
    proto = product_graph(weights)
    store_halved(proto, ["w"])
    types = {
        tensor.data_type
        for tensor in proto.graph.initializer
        if tensor.name.startswith("w")
    }
    assert types == (
        {onnx.TensorProto.FLOAT} if kept else {onnx.TensorProto.FLOAT16}
    )
    assert ("gaussian.rows0" not in by_name(_statistics(model))) is kept


def test_a_sound_detector_is_let_through(models, detector):
    found = checked(models[detector])
    assert_halvable(found)
    large = (
        {"statistics"} if detector == "padim" else set()
    )  # the tiny bank is too small to be worth halving
    assert {each.part for each in found} == {"backbone", "head"} | large
    assert all(each.verdict == "fits" for each in found if each.halved)
    assert {"distances", "anomaly_map", "score"} <= by_name(found).keys()
    assert checked(models[detector]) == found


def test_the_layer_where_it_begins_is_named(models):
    """A gain of a trained network, 10,000 times too large."""
    path = list(norms_of(models["padim"].pipeline))[3]

    def change(pipeline):
        norm = pipeline.get_submodule(path)
        norm.weight.data.mul_(1e4)
        norm.bias.data.add_(3e4)

    with pytest.raises(
        ExportError,
        match=r"reaches [\d.e+]+ on these pictures; expected at most 16376",
    ) as caught:
        assert_halvable(checked(planted(models["padim"], change)))
    assert str(caught.value).startswith(
        path.removeprefix("extractor.").rpartition(".")[0]
    )
    assert "fp16-storage computes in float32" in str(caught.value)


def test_a_weight_that_overflows_is_named(models):
    def change(pipeline):
        next(iter(norms_of(pipeline).values())).bias.data[
            2
        ] = -1e5  # behind a ReLU: no activation shows it

    with pytest.raises(
        ExportError,
        match=r"weight_bias_folded holds 1e\+05; expected at most 65504",
    ):
        assert_halvable(
            [
                r
                for r in checked(planted(models["padim"], change))
                if r.bound is not None
            ]
        )


def test_what_lies_within_the_safety_is_refused(models):
    safe, unsafe = (
        Range(part="backbone", name="n", halved=True, seen=LARGEST / SAFETY * f)
        for f in (0.99, 1.01)
    )
    assert_halvable([safe])
    with pytest.raises(ExportError, match=r"n reaches 1\.654e\+04"):
        assert_halvable([safe, unsafe])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "fp16-storage"])
def test_statistics_that_overflow_are_named(models, precision, tmp_path):
    def change(pipeline):
        pipeline.gaussian.get_buffer("rows0")[5, 3, 10] = 7e4

    save(planted(models["padim"], change), tmp_path / "m.safetensors")
    with pytest.raises(
        ExportError,
        match=r"^(pipeline\.)?gaussian\.rows0\S* holds 7e\+04; expected at most 65504",
    ):
        export(
            tmp_path / "m.safetensors",
            tmp_path / "part",
            ExportOptions(frame=FRAME, precisions=[precision]),
        )
    assert not (tmp_path / "part").exists()


def test_a_layer_that_is_not_finite_is_named(models):
    def change(pipeline):
        list(norms_of(pipeline).values())[2].bias.data[0] = float("nan")

    with pytest.raises(
        ExportError, match=r"feature_extractor\.\S+ comes to nan in float32"
    ):
        checked(planted(models["padim"], change))


@pytest.mark.slow
def test_what_would_overflow_if_lowered_is_named_kept_and_shown(
    models, pictures, tmp_path, capsys
):
    """Large features are sound in a backbone, their squared distances are not."""

    def change(pipeline):
        pipeline.gaussian.mean += 1000

    model = planted(models["padim"], change)
    model = replace(
        model, decision=model.decision.model_copy(update={"scale": 1e5})
    )
    save(model, tmp_path / "m.safetensors")
    path, found = tmp_path / "part.anomedge", checked(model)
    assert_halvable(found)
    with pytest.warns(
        LoweringWarning,
        match=r"gaussian: \|W \(x - mean\)\|\^2 \([\d.e+]+\).* overflows",
    ):
        warn_of_lowering(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoweringWarning)
        export(
            tmp_path / "m.safetensors",
            path,
            ExportOptions(frame=FRAME, precisions=["fp16"], batches=[1]),
        )
    squares = by_name(Bundle.open(path).manifest.ranges)[
        "gaussian: |W (x - mean)|^2"
    ]
    assert squares.verdict == "overflows" and not squares.halved
    assert (
        run_to_exit_code(
            lambda a: application()(a, prog_name="anomedge"),
            ["inspect", str(path)],
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert (
        "if lowered" in shown
        and "overflows" in shown
        and "gaussian: |W (x - mean)|^2" in shown
    )
    assert (
        run_to_exit_code(
            lambda a: application()(a, prog_name="anomedge"),
            ["inspect", str(path), "--json"],
        )
        == 0
    )
    assert (
        squares.model_dump()
        in json.loads(capsys.readouterr().out)["manifest"]["ranges"]
    )


def test_small_numbers_that_matter_are_named():
    small = Range(
        part="head", name="squares", seen=1.0, bound=2.0, least=LEAST / 2
    )
    assert small.verdict == "underflows"
    with pytest.warns(
        LoweringWarning, match=r"squares \(3\.05e-05\) is lost in part"
    ):
        warn_of_lowering([small])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_lowering([small.model_copy(update={"least": LEAST})])
