"""A detector within a region: nothing outside counts, and nothing inside changes by it."""

import numpy as np
import pytest
import torch
from PIL import Image

from anomedge.errors import InputError, ModelError
from anomedge.images import Picture, PixelRectangle, list_pictures
from anomedge.pipelines.data import image_of
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.maps import map_resampling
from anomedge.pipelines.model import load, save
from anomedge.pipelines.padim import Padim
from anomedge.pipelines.regions import RegionMask
from tests.conftest import FRAME, tiny_options
from tests.images.test_regions import mask_file

SIZE, GRID = (64, 72), (8, 9)


def l_shape(height, width):
    """The left half, and the lower quarter."""
    inside = np.zeros((height, width), bool)
    inside[:, : width // 2] = True
    inside[3 * height // 4 :] = True
    return inside


@pytest.fixture
def region():
    to_map = map_resampling(GRID, SIZE, 4.0)
    mask = RegionMask(GRID, SIZE, to_map)
    mask.fill(torch.from_numpy(l_shape(*SIZE)))
    return mask, to_map


def test_the_map_of_equal_distances_is_equal_within_and_0_outside(region):
    mask, to_map = region
    distances = torch.full((1, 1, *GRID), 3.0)
    masked = distances * mask.patches.reshape(1, 1, *GRID)
    anomaly_map = mask.restrict(to_map(masked))[0, 0].numpy()
    inside = l_shape(*SIZE)
    np.testing.assert_allclose(anomaly_map[inside], 3.0, rtol=1e-5)
    assert (anomaly_map[~inside] == 0).all()


def test_the_map_stays_between_the_distances_within(region):
    mask, to_map = region
    distances = torch.rand(1, 1, *GRID) + 1
    masked = distances * mask.patches.reshape(1, 1, *GRID)
    within = mask.restrict(to_map(masked))[0, 0].numpy()[l_shape(*SIZE)]
    chosen = distances.flatten()[mask.patches > 0]
    assert within.min() >= float(chosen.min()) * (1 - 1e-5)
    assert within.max() <= float(chosen.max()) * (1 + 1e-5)


@pytest.fixture
def masked(detector, pictures, tmp_path):
    path = mask_file(tmp_path / "mask.png", l_shape(*FRAME))
    with pytest.warns(UserWarning):
        return fit(
            detector, pictures / "train", tiny_options(pictures, roi=path)
        )


def test_patches_outside_a_mask_count_nowhere(masked, detector):
    pipeline = masked.pipeline
    assert pipeline.config.masked
    images = torch.rand(2, 3, *masked.geometry.image)
    with torch.no_grad():
        stages = pipeline.stages(images)
    outside = (
        pipeline.region.patches.reshape(stages["distances"].shape[2:]) == 0
    )
    assert outside.any()
    assert not stages["distances"][:, 0, outside].any()
    assert not stages["anomaly_map"][:, 0, ~pipeline.region.inside].any()
    peaks = stages["anomaly_map"][:, 0, pipeline.region.inside].amax(dim=1)
    if detector == "padim":
        torch.testing.assert_close(stages["score"], peaks)
    else:
        most = stages["distances"].flatten(1).amax(dim=1)
        assert bool((stages["score"] <= most).all())


def test_the_worst_patch_lies_within_the_region(masked, pictures):
    """The unmasked detector of the same tensors finds its worst patch outside, on a picture that is odd there."""
    pipeline = masked.pipeline
    path = list_pictures(pictures / "train")[0]
    images = image_of(Picture("normal", path=path), masked.geometry)
    images[:, :, :16, 56:] = torch.tensor([0.0, 1.0]).repeat(8)
    with torch.no_grad():
        restricted = pipeline(images)
        mask, pipeline.region = pipeline.region, None
        whole = pipeline(images)
        pipeline.region = mask
    assert float(restricted.score) < float(whole.score)


def test_a_mask_round_trips_in_the_model_file(masked, tmp_path):
    save(masked, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.geometry == masked.geometry
    assert again.pipeline.config == masked.pipeline.config
    assert torch.equal(again.pipeline.region.gain, masked.pipeline.region.gain)
    images = torch.rand(1, 3, *masked.geometry.image)
    with torch.no_grad():
        for one, two in zip(
            masked.pipeline(images), again.pipeline(images), strict=True
        ):
            assert torch.equal(one, two)


def test_patches_outside_the_mask_are_not_in_the_bank(pictures, tmp_path):
    path = mask_file(tmp_path / "mask.png", l_shape(*FRAME))
    sizes = []
    for roi in (None, path):
        options = tiny_options(pictures, roi=roi, detector={"coreset": 0.1})
        with pytest.warns(UserWarning):
            model = fit("patchcore", pictures / "train", options)
        sizes.append(model.pipeline.config.n_vectors)
        counted = (
            model.pipeline.region.patches.mean()
            if model.pipeline.region is not None
            else 1.0
        )
    assert abs(sizes[1] - sizes[0] * float(counted)) <= 1
    assert sizes[1] < sizes[0]


def test_a_detector_without_masks_refuses_one(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(Padim, "takes_mask", False)
    path = mask_file(tmp_path / "mask.png", l_shape(*FRAME))
    with pytest.raises(InputError, match="give --roi x,y,w,h"):
        fit("padim", pictures / "train", tiny_options(pictures, roi=path))


def test_a_rectangle_is_a_fit_to_cut_pictures(detector, pictures, tmp_path):
    """The same tensors as from pictures that hold the rectangle only."""
    roi = PixelRectangle(20, 10, 80, 60)
    for folder in ("train", "held_back"):
        for path in list_pictures(pictures / folder):
            target = tmp_path / folder / path.name
            target.parent.mkdir(exist_ok=True)
            Image.open(path).crop((20, 10, 100, 70)).save(target)
    with pytest.warns(UserWarning):
        one = fit(detector, pictures / "train", tiny_options(pictures, roi=roi))
        two = fit(detector, tmp_path / "train", tiny_options(tmp_path))
    states = one.pipeline.state_dict(), two.pipeline.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name])
    assert one.geometry.box(FRAME) == (10, 20, 70, 100)


def test_a_file_with_a_wrong_region_is_refused(masked, tmp_path):
    save(masked, tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    stated = b'\\"region\\": [\\n    0.0,'
    wrong = content.replace(stated, stated.replace(b"0.0", b"9.0"))
    assert wrong != content
    (tmp_path / "m.safetensors").write_bytes(wrong)
    with pytest.raises(ModelError, match="fractions"):
        load(tmp_path / "m.safetensors")
