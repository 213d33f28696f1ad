"""The inspector: frames, paths and batches."""

import numpy as np
import pytest

from anomedge import Inspector
from anomedge.errors import InputError, RuntimeFailure
from anomedge.images import list_pictures, read_picture
from tests.conftest import FRAME, RUNTIMES


@pytest.fixture
def frames(pictures):
    return np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")[:3]]
    )


def test_inspector_takes_frames_paths_and_batches(
    bundle, runtime, pictures, frames
):
    paths = list_pictures(pictures / "test")[:3]
    with Inspector.open(bundle.path, runtime=runtime) as inspector:
        one = inspector.predict(frames[0])
        assert inspector.predict(paths[0]).score == pytest.approx(one.score)
        assert inspector.predict(str(paths[0])).label == one.label
        many = inspector.predict(frames)
        assert [r.score for r in many] == pytest.approx(
            [r.score for r in inspector.predict(paths)]
        )
        assert one.anomaly_map.shape == one.mask.shape == (64, 72)
        assert one.milliseconds > 0
        for result in many:
            assert result.label == (
                "anomalous"
                if result.score > inspector.decision.threshold
                else "normal"
            )
            np.testing.assert_array_equal(
                result.mask,
                result.anomaly_map > inspector.decision.pixel_threshold,
            )
        for wrong in (
            [],
            frames[0, 0],
            np.zeros((8, 8, 3), np.uint8),
            [frames[0], frames[0][:8]],
        ):
            with pytest.raises(InputError, match="expected"):
                inspector.predict(wrong)


def test_a_picture_of_another_size_is_refused(bundle, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / "a.png")
    with (
        Inspector.open(bundle, runtime=RUNTIMES[0]) as inspector,
        pytest.raises(InputError, match="got 10x12; expected 96x128"),
    ):
        inspector.predict(tmp_path / "a.png")


def test_a_fixed_batch_inspects_any_number_of_frames(
    model_paths, frames, tmp_path
):
    from anomedge.export.bundling import ExportOptions, export

    export(
        model_paths["padim"],
        tmp_path / "b.anomedge",
        ExportOptions(frame=FRAME, batch=2, runtimes=RUNTIMES[:1]),
    )
    with Inspector.open(
        tmp_path / "b.anomedge", runtime=RUNTIMES[0]
    ) as inspector:
        many = [result.score for result in inspector.predict(frames)]
        assert many == pytest.approx(
            [inspector.predict(frame).score for frame in frames], rel=1e-6
        )


def test_a_score_that_is_not_finite_is_no_verdict(bundle, frames, monkeypatch):
    with Inspector.open(bundle, runtime=RUNTIMES[0]) as inspector:
        run = inspector.session.run
        monkeypatch.setattr(
            inspector.session,
            "run",
            lambda feed: {k: v * np.nan for k, v in run(feed).items()},
        )
        with pytest.raises(RuntimeFailure, match="not finite"):
            inspector.predict(frames)
