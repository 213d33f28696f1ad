"""DSR: one argument, and images that are not scaled."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.dsr import Dsr
from tests.interop.anomalib.models.package import built


def test_its_argument_is_handed_on(monkeypatch):
    model = built(monkeypatch, Dsr, latent_anomaly_strength=0.5)
    assert model.given == {"latent_anomaly_strength": 0.5}
    assert Dsr.scaling == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_a_strength_is_a_share(strength):
    with pytest.raises(ValidationError):
        Dsr.arguments_class(latent_anomaly_strength=strength)
