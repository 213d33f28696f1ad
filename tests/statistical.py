"""The fixture `detector` for tests that fit: detectors of statistics alone, because trainings take long."""

import pytest

from tests.conftest import DETECTORS


@pytest.fixture(name="detector", params=DETECTORS)
def statistical_detector(request) -> str:
    return request.param
