"""Options that need a map are refused for a detector without one."""

import pytest

from anomedge.commands._maps import require_map
from anomedge.errors import InputError
from tests.parity.examples import DECISION


def test_an_option_of_maps_needs_a_map():
    require_map(DECISION, "--maps")
    without = DECISION.model_copy(update={"pixel_threshold": None})
    with pytest.raises(InputError, match=r"got --maps, .* leave out --maps"):
        require_map(without, "--maps")
