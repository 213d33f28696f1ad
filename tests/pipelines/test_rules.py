"""Rules of thresholds in a fit: the default, warnings, and what files keep."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from sklearn.metrics import roc_auc_score

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.crossfit import Scored, ScoredSample
from anomedge.pipelines.decision import (
    InsensitiveWarning,
    OutlierWarning,
    Rule,
    SmallSampleWarning,
    ThresholdSample,
    place_threshold,
)
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.model import load, save
from anomedge.pipelines.sensitivity import (
    PlantedBatches,
    plan_defects,
    sensitivity,
)
from anomedge.pipelines.synthetic import SYNTHETIC_DEFECTS
from anomedge.resample import Geometry
from anomedge.threshold import Origin
from tests.commands.running import run
from tests.conftest import tiny_options
from tests.pipelines.synthetic.noise import image_of
from tests.threshold_rules.samples import few


def test_plans_are_bounded_and_hold_all_kinds():
    assert plan_defects(9, 0) == []
    for count in (10, 23, 150):
        planned = plan_defects(count, 0)
        assert len(planned) == min(100, 5 * count)
        assert {d.kind for d in planned} == set(SYNTHETIC_DEFECTS.names())
        assert len({(d.picture, d.kind) for d in planned}) == len(planned)
        assert planned == plan_defects(count, 0)


def test_planted_pictures_come_in_batches():
    frames = [np.uint8(255 * image_of(i)) for i in range(12)]
    pictures = [Picture(str(i), pixels=f) for i, f in enumerate(frames)]
    planned = plan_defects(12, 0)[:5]
    batches = PlantedBatches(pictures, planned, Geometry((32, 40)), 2)
    assert [tuple(x.shape) for x in batches] == [(2, 3, 32, 40)] * 2 + [
        (1, 3, 32, 40)
    ]


@given(few, few)
def test_sensitivity_counts(normal, defective):
    good, bad = np.array(normal), np.array(defective)
    measured = sensitivity(good, bad, ["a"] * len(bad), 20.5)
    labels = [0] * len(good) + [1] * len(bad)
    auroc = roc_auc_score(labels, np.concatenate([good, bad]))
    assert measured.auroc == pytest.approx(auroc)
    assert measured.caught == measured.kinds["a"] == (bad > 20.5).mean()
    rates = [row.false_alarms for row in measured.rows]
    assert rates == sorted(rates)
    assert rates[0] == 0


def placed(normal, synthetic, rule=None):
    pictures = [
        Picture(f"{i}.png", pixels=np.zeros((1, 1, 3), np.uint8))
        for i in range(len(normal))
    ]
    kinds = tuple("ab"[i % 2] for i in range(len(synthetic)))
    normal, synthetic = np.asarray(normal), np.asarray(synthetic)
    scored = ScoredSample(
        Scored(normal, normal), synthetic=Scored(synthetic, synthetic, kinds)
    )
    sample = ThresholdSample(pictures, [], "test")
    return place_threshold(scored, sample, rule or Rule())


def test_balanced_is_the_default_with_synthetic_defects():
    decision = placed(np.linspace(1, 2, 20), np.linspace(1.9, 4, 20))
    origin = decision.origin
    assert (origin.rule, origin.rate) == ("balanced", 0.1)
    assert origin.sensitivity.caught > 0.9
    assert origin.sensitivity.kinds.keys() == {"a", "b"}


def test_a_rate_that_misses_synthetic_defects_is_warned_of():
    normal, synthetic = np.linspace(1, 2, 100), np.linspace(1.5, 2.5, 20)
    with pytest.warns(
        InsensitiveWarning,
        match=r"misses 50% of 20 synthetic defects .* give --rule balanced",
    ):
        placed(normal, synthetic, Rule("rate"))


def test_a_detector_that_does_not_separate_is_said():
    with pytest.warns(
        InsensitiveWarning, match=r"does not separate .* AUROC 0\.58"
    ):
        placed(np.linspace(1, 2, 40), np.linspace(1.1, 2.1, 40))


def test_outliers_are_named():
    normal = np.append(np.linspace(1, 2, 30), 50.0)
    with pytest.warns(OutlierWarning, match=r"look at 30\.png; expected"):
        decision = placed(normal, np.linspace(4, 5, 20))
    assert decision.origin.outliers == ("30.png",)
    assert decision.scale == pytest.approx(1.0)


def test_all_outliers_are_counted_and_the_highest_are_named():
    normal = np.append(np.linspace(1, 2, 60), np.linspace(50, 60, 12))
    with pytest.warns(OutlierWarning, match=r"^12 of 72 .* look at 71\.png, "):
        decision = placed(normal, np.linspace(70, 80, 20))
    assert len(decision.origin.outliers) == 10


def test_a_tail_is_recorded():
    normal = np.random.default_rng(0).normal(10, 1, 60)
    with pytest.warns(SmallSampleWarning, match="by a tail model, to between"):
        decision = placed(normal, np.linspace(40, 50, 20), Rule("rate"))
    assert decision.origin.tail.exceedances == 20


def test_absent_fields_are_left_out_of_files():
    fields = {
        "rule": "f1", "rate": None, "source": "", "normal": 1, "anomalous": 1, "margin": 1.0, "extrapolated": False,
        "pictures": "0",
    }  # fmt: skip
    assert Origin(**fields).model_dump(mode="json") == fields
    more = fields | {"rule": "recall", "recall": 0.9, "outliers": ["a.png"]}
    assert Origin(**more).model_dump(mode="json") == more


@pytest.fixture
def enough(pictures, tmp_path):
    """Twelve normal pictures."""
    folder = tmp_path / "normal"
    folder.mkdir()
    found = sorted((pictures / "train").rglob("*.png"))
    for number, path in enumerate([*found, *found[:4]]):
        image = Image.open(path)
        turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        (turned if number >= 8 else image).save(folder / f"{number:02}.png")
    return folder


def test_a_fit_prints_the_table_and_files_keep_it(enough, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsensitiveWarning)
        code = run(
            "fit", "padim", enough, "-o", path, "--size", "64x72",
            "--backbone", "test_efficientnet", "--weights", "random",
        )  # fmt: skip
    assert code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "60 synthetic defects on the normal pictures" in printed
    assert "threshold false alarms caught" in printed
    origin = load(path).decision.origin
    assert (origin.rule, origin.folds, origin.normal) == ("balanced", 12, 12)
    assert origin.sensitivity.defects == 60
    assert run("inspect", path, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["decision"]["origin"]["sensitivity"]["defects"] == 60
    assert run("inspect", path) == 0
    assert "synthetic defects caught" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:the threshold catches")
def test_a_target_recall_is_recorded(pictures, tmp_path):
    options = tiny_options(
        pictures, held_back=None, labelled=pictures, rule=Rule(recall=1.0)
    )
    model = fit("padim", pictures / "train", options)
    save(model, tmp_path / "m.safetensors")
    origin = load(tmp_path / "m.safetensors").decision.origin
    assert (origin.rule, origin.recall, origin.anomalous) == ("recall", 1.0, 4)
    assert origin.sensitivity is None


def test_an_unknown_rule_is_refused(pictures, tmp_path, capsys):
    code = run(
        "fit", "padim", pictures / "train",
        "-o", tmp_path / "m.safetensors", "--rule", "best",
    )  # fmt: skip
    assert code == 2
    assert "rate, balanced, labelled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rate", "most", "expected"),
    [
        (None, None, None, (None, 0.01, 0.1)),
        (None, 0.2, None, ("rate", 0.2, 0.1)),
        (None, None, 0.3, ("balanced", 0.01, 0.3)),
        ("rate", 0.2, None, ("rate", 0.2, 0.1)),
        ("labelled", None, None, ("labelled", 0.01, 0.1)),
    ],
)
def test_a_number_of_one_rule_selects_it(name, rate, most, expected):
    rule = Rule.named(name, rate, most, None)
    assert (rule.name, rule.rate, rule.most_false_alarms) == expected


@pytest.mark.parametrize(
    ("name", "rate", "most"),
    [
        ("balanced", 0.2, None),
        ("labelled", 0.2, None),
        ("rate", None, 0.2),
        (None, 0.2, 0.2),
        ("fast", None, None),
    ],
)
def test_a_number_of_another_rule_is_refused(name, rate, most):
    with pytest.raises(InputError, match="expected"):
        Rule.named(name, rate, most, None)
