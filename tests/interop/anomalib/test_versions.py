"""Versions of anomalib, by the keys of a checkpoint."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib.versions import V1, V2, V27, version_of
from tests.interop.anomalib.refusing import refused


def test_a_checkpoint_of_another_library_is_refused(tmp_path):
    content = {"state_dict": {"model.a": torch.ones(2)}}
    refused(content, tmp_path, "without a sign of anomalib")


@pytest.mark.parametrize(
    ("content", "state", "arguments", "version"),
    [
        ({"anomalib_components_enabled": {}}, {}, {"pre_processor": True}, V27),
        (
            {"anomalib_post_processor_config": {}},
            {"image_threshold.value": 1},
            {},
            V27,
        ),
        ({}, {"image_threshold.value": 1}, {}, V1),
        ({}, {"image_threshold_class": "x"}, {"pre_processor": True}, V1),
        ({}, {}, {"pre_processor": None}, V2),
        ({}, {}, {"post_processor": True}, V2),
        ({}, {"post_processor._image_threshold": 1}, {}, V2),
    ],
)
def test_a_version_is_known_by_its_keys(content, state, arguments, version):
    assert version_of(content, state, arguments) == version


def test_other_keys_are_no_sign_of_anomalib():
    with pytest.raises(ModelError, match="without a sign of anomalib"):
        version_of({"epoch": 0}, {"model.a": 1}, {"backbone": "resnet18"})
