"""INP-Former: an untrained encoder, and groups of layers."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.inp_former import InpFormer
from tests.interop.anomalib.models.package import built

SOURCE = """
class InpFormerModel(Recorded):
    def __init__(self, encoder_name, **given):
        super().__init__(**given)
        self.encoder = TimmFeatureExtractor(encoder_name)
"""


def test_the_encoder_is_untrained(monkeypatch):
    groups = ((0, 1), (2, 3))
    model = built(monkeypatch, InpFormer, SOURCE, fuse_layer_encoder=groups)
    assert model.encoder.given == {"pre_trained": False}
    assert model.encoder.args == ("vit_base_patch14_reg4_dinov2",)
    assert model.given["fuse_layer_encoder"] == groups
    assert model.given["inp_num"] == 6


@pytest.mark.parametrize(
    "wrong", [{"inp_num": 0}, {"fuse_layer_decoder": [[]]}, {"target_layers": [-1]}]
)  # fmt: skip
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        InpFormer.arguments_class(**wrong)
