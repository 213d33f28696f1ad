"""A whole evaluation, against figures computed from eager Torch's outputs."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from anomedge.bundle import Bundle, write_local
from anomedge.errors import InputError
from anomedge.evaluation import Evaluation, EvaluationRun, Options, evaluate
from anomedge.export.eager import EagerSession
from anomedge.images import read_folder
from anomedge.parity.ground_truth import ground_truth_of
from anomedge.parity.outputs import collect
from anomedge.pipelines.model import load
from anomedge.station.calibration import override_thresholds
from tests.conftest import FRAME


@pytest.fixture(scope="module")
def compared(bundle_paths, model_paths, pictures):
    return evaluate(
        bundle_paths["padim"],
        pictures / "test",
        model=model_paths["padim"],
        runtimes=["ort", "openvino"],
        replicates=200,
    )


@pytest.fixture
def data(pictures, tmp_path):
    shutil.copytree(pictures / "test", tmp_path / "test")
    if (pictures / "ground_truth").is_dir():
        shutil.copytree(pictures / "ground_truth", tmp_path / "ground_truth")
    return tmp_path


def test_figures_are_those_of_eager_torchs_outputs(
    compared, model_paths, pictures
):
    found = read_folder(pictures / "test")
    model = load(model_paths["padim"])
    with EagerSession(model, model_paths["padim"]) as eager:
        outputs = collect(eager, found, FRAME, 1)
    truth = ground_truth_of(found, model.geometry, FRAME)
    labels = np.array(truth.anomalous)
    eager, *copies = compared.columns
    assert eager.image.auroc.value == pytest.approx(
        roc_auc_score(labels, outputs.score), abs=1e-12
    )
    above = outputs.score > model.decision.threshold
    assert eager.image.recall.count == (above & labels).sum()
    assert eager.image.false_alarm_rate.count == (above & ~labels).sum()
    masks, maps = np.array(truth.masks), outputs.anomaly_map[:, 0]
    assert eager.pixel.auroc.value == pytest.approx(
        roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12
    )
    assert eager.pixel.average_precision.value == pytest.approx(
        average_precision_score(masks.ravel(), maps.ravel()), abs=1e-9
    )
    marked = maps > model.decision.pixel_threshold
    assert eager.pixel.recall.count == (marked & masks).sum()
    assert eager.pixel.recall.of == masks.sum()
    assert [column.name for column in copies] == ["onnxruntime", "openvino"]


def test_changes_are_differences_to_eager_torch(compared):
    eager, *copies = compared.columns
    assert eager.name == "eager torch"
    assert eager.change == {}
    for column in copies:
        assert column.flips == ()
        difference = column.pixel.aupro.value - eager.pixel.aupro.value
        assert column.change["pixel aupro"] == difference
        assert abs(difference) < 1e-3
        assert column.change["image auroc"] == 0


def test_kinds_are_folders_and_add_up(compared):
    image, kinds = compared.columns[0].image, compared.columns[0].kinds
    assert [each.kind for each in kinds] == sorted(each.kind for each in kinds)
    assert sum(each.image.anomalous for each in kinds) == image.anomalous
    hits = sum(each.image.recall.count for each in kinds)
    assert hits == image.recall.count
    regions = sum(each.pixel.regions for each in kinds)
    assert regions == compared.columns[0].pixel.regions
    assert {each.image.normal for each in kinds} == {image.normal}


def test_few_pictures_carry_a_caution(compared):
    assert any("are few" in note for note in compared.notes)


def test_records_survive_json(compared):
    content = json.loads(json.dumps(compared.to_json()))
    assert Evaluation.model_validate(content).to_json() == content


def test_a_model_alone_takes_pictures_of_any_size(model_paths, data):
    path = sorted((data / "test" / "good").iterdir())[0]
    with Image.open(path) as image:
        image.resize((90, 70)).save(path)
    result = evaluate(model_paths["padim"], data, replicates=100)
    (column,) = result.columns
    assert column.name == "eager torch"
    assert result.pictures.fitted == 0
    with pytest.raises(InputError, match="expected a bundle for these"):
        evaluate(model_paths["padim"], data, runtimes=["ort"])


def test_pictures_of_another_size_are_refused_before_the_work(
    bundle_paths, data
):
    path = sorted((data / "test" / "good").iterdir())[0]
    with Image.open(path) as image:
        image.resize((90, 70)).save(path)
    with pytest.raises(
        InputError, match=r"got 1 of \d+ .*expected .* of 96x128"
    ):
        evaluate(bundle_paths["padim"], data)
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be read as a picture"):
        evaluate(bundle_paths["padim"], data)


def test_unlabelled_pictures_are_refused(bundle_paths, pictures):
    with pytest.raises(InputError, match="without a label"):
        evaluate(bundle_paths["padim"], pictures / "held_back")


def test_a_set_without_masks_has_no_pixel_figures(bundle_paths, data):
    shutil.rmtree(data / "ground_truth", ignore_errors=True)
    shutil.rmtree(data / "test" / "ground_truth", ignore_errors=True)
    result = evaluate(bundle_paths["padim"], data, replicates=100)
    assert result.columns[0].pixel is None
    assert result.columns[0].kinds[0].pixel is None
    assert result.columns[0].image.auroc is not None
    assert any("no anomalous picture has a mask" in n for n in result.notes)


def test_normal_pictures_alone_have_a_false_alarm_rate(bundle_paths, data):
    for folder in (data / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    result = evaluate(bundle_paths["padim"], data, replicates=100)
    image = result.columns[0].image
    assert image.auroc is None
    assert image.false_alarm_rate.of == image.normal
    assert any("AUROC, are absent" in note for note in result.notes)


def test_defects_alone_without_masks_have_a_recall(bundle_paths, data):
    shutil.rmtree(data / "ground_truth")
    for path in (data / "test" / "good").iterdir():
        path.unlink()
    result = evaluate(bundle_paths["padim"], data, replicates=100)
    (column,) = result.columns
    assert column.pixel is column.image.auroc is None
    assert column.image.false_alarm_rate is None
    assert column.image.recall.of == result.pictures.anomalous == 4
    assert len(result.notes) == 2


def test_local_thresholds_are_in_force(bundle_paths, data, tmp_path):
    root = shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    bundle = Bundle.open(root)
    settings = override_thresholds(bundle, 1e6, 1e6)
    write_local(bundle, settings)
    result = evaluate(root, data, replicates=100)
    assert result.local_thresholds
    image = result.columns[0].image
    assert image.threshold == 1e6
    assert image.recall.count == image.false_alarm_rate.count == 0
    assert image.auroc is not None


def test_batches_give_the_same_figures(bundle_paths, pictures, compared):
    result = evaluate(
        bundle_paths["padim"], pictures / "test", batch=4, replicates=200
    )
    known = compared.columns[1].image
    assert result.columns[0].image.auroc == known.auroc


def test_a_model_of_another_detector_is_refused(
    bundle_paths, model_paths, pictures
):
    with pytest.raises(InputError, match="another detector"):
        evaluate(
            bundle_paths["padim"],
            pictures / "test",
            model=model_paths["patchcore"],
        )


def test_results_come_picture_by_picture(bundle_paths, pictures):
    with EvaluationRun.open(
        bundle_paths["padim"], pictures / "test", Options()
    ) as run:
        first = next(run.judged())
        assert first.picture.name == run.data.pictures[0].name
        assert first.frame.shape == (*FRAME, 3)
        assert set(first.results) == {run.subject.detectors[0].name}
        with pytest.raises(InputError, match="got 1 of 7 pictures judged"):
            run.result()
