"""The tables of an evaluation: intervals, changes, kinds, flips."""

from anomedge.commands._evaluation_tables import show_evaluation
from anomedge.evaluation import Figure, KindFigures, LevelFigures, Rate
from anomedge.evaluation.records import Column, Evaluation, PictureTotals

RATE = Rate(value=0.5, low=0.25, high=0.75, count=1_500, of=3_000)


def level(auroc=0.9, **more):
    figure = Figure(value=auroc, low=0.8, high=1.0)
    given = {"normal": 3000, "anomalous": 20, "threshold": 1.5}
    return LevelFigures(**(given | {"auroc": figure, "recall": RATE} | more))


def column(name, **more):
    given = {"version": "1.0", "running_on": "cpu", "pixel": None}
    return Column(**(given | {"name": name, "image": level()} | more))


def shown(capsys, *columns, **more):
    totals = PictureTotals(normal=7, anomalous=4, masked=9, unlabelled=0)
    given = {
        "subject": "part.anomedge",
        "digest": "0" * 64,
        "dataset": "parts",
        "precision": "fp32",
        "pictures": totals,
        "local_thresholds": False,
        "seed": 0,
        "replicates": 100,
        "columns": columns,
    }
    show_evaluation(Evaluation(**(given | more)))
    return " ".join(capsys.readouterr().out.split())


def test_figures_have_their_intervals_and_rates_their_counts(capsys):
    text = shown(capsys, column("onnxruntime"), notes=("a note",))
    assert "parts: 7 normal and 4 anomalous pictures" in text
    assert "threshold 1.5: the fit's" in text
    assert "image AUROC 0.9000" in text
    assert "[0.800, 1.000]" in text
    assert "1,500 of 3,000, 50.0%" in text
    assert "[25.0%, 75.0%]" in text
    assert text.endswith("a note")
    assert "change against" not in text
    assert "pixel" not in text


def test_pixels_have_their_own_rows_and_threshold(capsys):
    pixel = level(
        0.75,
        regions=12,
        best_f1=Figure(value=0.6),
        best_threshold=0.25,
        threshold=2.5,
    )
    text = shown(
        capsys, column("onnxruntime", pixel=pixel), local_thresholds=True
    )
    assert "pixels of 9 pictures: 3,000 normal, 20 anomalous in 12 regions" in text  # fmt: skip
    assert "threshold 1.5, pixels 2.5: local.json's" in text
    assert "pixel AUROC 0.7500" in text
    assert "pixel best F1 0.6000 at 0.25" in text


def test_changes_are_signed_and_rounding_is_none(capsys):
    text = shown(
        capsys,
        column("eager torch"),
        column("a", change={"image auroc": -2e-3}, flips=("x.png", "y.png")),
        column("b", change={"image auroc": 1e-13}),
    )
    assert "in parentheses: change against eager Torch" in text
    assert "(-2.0e-03)" in text
    assert "(=)" in text
    assert "a: 2 decisions differ from eager Torch's: x.png, y.png" in text
    assert "b: 0 decisions differ from eager Torch's" in text


def test_detectors_with_equal_figures_of_a_kind_are_shown_once(capsys):
    same = (KindFigures(kind="hole", image=level(), pixel=None),)
    other = (KindFigures(kind="hole", image=level(0.5), pixel=None),)
    text = shown(
        capsys,
        column("eager torch", kinds=same),
        column("ort", kinds=same),
        column("ov", kinds=other),
    )
    _, kinds = text.split("each kind of defect")
    assert "hole eager torch" in kinds
    assert "ov" in kinds
    assert "ort" not in kinds
    assert kinds.count("hole") == 1


def test_without_a_map_kinds_have_no_figures_of_pixels(capsys):
    kinds = (KindFigures(kind="hole", image=level(), pixel=None),)
    with_map = shown(capsys, column("a", kinds=kinds))
    assert "AUPRO" in with_map
    without = shown(capsys, column("a", kinds=kinds, map_bits=None))
    assert "AUPRO" not in without
