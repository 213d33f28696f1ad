"""No frame is run twice in eager Torch."""

import shutil

import numpy as np
import pytest

from anomedge.bundle import Bundle
from anomedge.bundle.local_settings import LocalSettings, write_settings
from anomedge.export.eager import EagerSession
from anomedge.export.eager_runs import EagerRuns
from anomedge.export.proof import reference_from_model
from anomedge.images import read_folders
from anomedge.parity.outputs import collect
from tests.conftest import FRAME


@pytest.fixture
def counted(monkeypatch):
    """Number of frames that eager Torch was given, by method."""
    counts = {"_run": 0, "stages": 0}
    run, stages = EagerSession._run, EagerSession.stages

    def counting_run(self, feed):
        counts["_run"] += len(feed["frames"])
        return run(self, feed)

    def counting_stages(self, frames):
        counts["stages"] += len(frames)
        return stages(self, frames)

    monkeypatch.setattr(EagerSession, "_run", counting_run)
    monkeypatch.setattr(EagerSession, "stages", counting_stages)
    return counts


def test_stages_and_outputs_share_a_run(
    models, model_paths, pictures, detector, counted
):
    given = read_folders([pictures / "test"])[:3]
    with EagerSession(models[detector], model_paths[detector]) as eager:
        expected = collect(eager, given, FRAME, batch=1)
        counted.update({"_run": 0, "stages": 0})
        runs = EagerRuns(eager, FRAME)
        outputs = runs.of_pictures(given, "reference", staged=[1])
        again = runs.of_pictures([given[1], given[0]], "again")
        stages = runs.stages(given, [1])
    assert counted == {"_run": 2, "stages": 1}
    assert np.array_equal(outputs.score, expected.score)
    assert np.array_equal(outputs.anomaly_map, expected.anomaly_map)
    assert np.array_equal(again.score, expected.score[[1, 0]])
    assert np.array_equal(stages[1]["score"], expected.score[1:2])


def test_a_detector_with_outputs_of_its_own_runs_for_them(
    models, model_paths, pictures, counted, monkeypatch
):
    model = models["padim"]
    kind = type(model.pipeline)
    monkeypatch.setattr(
        kind, "forward", lambda self, x: super(kind, self).forward(x)
    )
    given = read_folders([pictures / "test"])[:1]
    with EagerSession(model, model_paths["padim"]) as eager:
        EagerRuns(eager, FRAME).of_pictures(given, "reference", staged=[0])
    assert counted == {"_run": 1, "stages": 1}


def test_blends_and_golden_frames_are_not_run_again(
    models, model_paths, bundle_paths, pictures, counted
):
    given = read_folders([pictures / "test"])
    bundle = Bundle.open(bundle_paths["padim"])
    reference = reference_from_model(
        models["padim"], model_paths["padim"], given, FRAME, bundle=bundle
    )
    made = [picture.generated for picture in reference.pictures]
    blended = made.count("blended")
    assert blended == 20
    # Golden frames are pictures of the same folder, extremes and blends.
    assert sum(counted.values()) <= len(given) + 4 + 3 * blended + 16
    with EagerSession(models["padim"], model_paths["padim"]) as eager:
        alone = collect(eager, reference.pictures, FRAME, batch=1)
    assert np.array_equal(alone.score, reference.outputs.score)
    assert np.array_equal(alone.anomaly_map, reference.outputs.anomaly_map)
    golden = reference.original.golden
    assert np.array_equal(
        golden.eager.outputs.score, golden.stored.outputs.score
    )


def test_a_local_threshold_does_not_move_the_blends_away(
    models, model_paths, bundle_paths, pictures, tmp_path
):
    given = read_folders([pictures / "test"])
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    model, digest = models["padim"], Bundle.open(root).manifest.digest
    exported = model.decision.threshold
    local = exported + model.decision.scale
    write_settings(
        root / "local.json",
        digest,
        LocalSettings(threshold=local),
        lambda: None,
    )
    reference = reference_from_model(
        model, model_paths["padim"], given, FRAME, 4, Bundle.open(root)
    )
    made = [p.generated == "blended" for p in reference.pictures]
    scores = reference.outputs.score[np.array(made)]
    for threshold in (exported, local):
        near = np.abs(scores - threshold) <= 0.01 * threshold
        assert near.sum() == 4
