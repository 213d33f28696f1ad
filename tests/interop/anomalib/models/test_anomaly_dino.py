"""AnomalyDINO without masks: an untrained encoder, distances, score and map."""

import types

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from anomedge.interop.anomalib.detector import first_fault
from anomedge.interop.anomalib.models.anomaly_dino import (
    AnomalyDino,
    Margins,
    _forward,
    mean_of_highest,
    nearest,
)
from tests.interop.anomalib.models.package import built

PATCH = 4

SOURCE = """
class AnomalyDINOModel(Recorded):
    def __init__(self, encoder_name, **given):
        super().__init__(encoder_name=encoder_name, **given)
        self.feature_encoder = TimmFeatureExtractor(backbone=encoder_name)
"""


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("neighbours", [1, 3])
def test_distances_are_means_over_the_neighbours(neighbours):
    features, bank = drawn(2, 6, 5), F.normalize(drawn(7, 5, seed=1), dim=-1)
    found = nearest(features, bank, neighbours)
    for image in range(2):
        for place in range(6):
            vector = features[image, place]
            cosines = F.cosine_similarity(vector[None], bank)
            closest = (1 - cosines).sort().values[:neighbours].mean()
            torch.testing.assert_close(found[image, place], closest)


@pytest.mark.parametrize(("count", "highest"), [(50, 1), (300, 3)])
def test_score_is_the_mean_of_the_highest_hundredth(count, highest):
    distances = torch.arange(float(count)).flip(0)[None]
    expected = distances[0, :highest].mean()
    assert mean_of_highest(distances).tolist() == [expected]


def test_margins_are_larger_at_the_bottom_and_on_the_right():
    assert Margins.of(11, 14, PATCH) == (1, 2, 1, 1)
    assert Margins.of(8, 12, PATCH) == (0, 0, 0, 0)


def model():
    """A model whose features are the pixels of each patch."""

    def features(images):
        return F.unfold(images, PATCH, stride=PATCH).transpose(1, 2)

    def upsampled(patches, size):
        return F.interpolate(patches, size=size)

    bank = F.normalize(drawn(9, 3 * PATCH**2, seed=1), dim=-1)
    return types.SimpleNamespace(
        patch_size=PATCH,
        memory_bank=bank,
        num_neighbours=2,
        extract_features=features,
        anomaly_map_generator=upsampled,
    )


def test_margin_of_the_map_repeats_the_values_beside_it():
    images = drawn(3, 3, 11, 14)
    score, anomaly_map = _forward(model(), images)
    inner, expected = _forward(model(), images[:, :, 1:9, 1:13])
    torch.testing.assert_close(score, inner)
    assert anomaly_map.shape == (3, 1, 11, 14)
    torch.testing.assert_close(anomaly_map[:, :, 1:9, 1:13], expected)
    torch.testing.assert_close(
        anomaly_map[:, :, 9:, 13], expected[:, :, 7:, 11].expand(3, 1, 2)
    )
    torch.testing.assert_close(anomaly_map[:, :, 0, 0], expected[:, :, 0, 0])


def test_masks_are_refused_with_the_reason():
    with pytest.raises(ValidationError) as caught:
        AnomalyDino.arguments_class.model_validate({"masking": True})
    fault = first_fault(caught.value)
    assert fault.startswith("masking = 'True' (Input should be False: masks")
    assert "no graph can do" in fault


def test_the_encoder_is_untrained(monkeypatch):
    model = built(monkeypatch, AnomalyDino, SOURCE, num_neighbours=3)
    assert model.given == {
        "encoder_name": "vit_small_patch14_dinov2",
        "num_neighbours": 3,
        "masking": False,
    }
    assert model.feature_encoder.given["pre_trained"] is False


def test_only_the_bank_has_a_shape_of_its_fit():
    assert AnomalyDino.is_sized("memory_bank")
    assert not AnomalyDino.is_sized("feature_encoder.weight")
