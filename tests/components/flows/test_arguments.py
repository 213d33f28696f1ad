"""Arguments of flow blocks that are refused in one line."""

import pytest

from anomedge.errors import InputError
from tests.components.flows.cases import block


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: block([4]), r"give \[\(C,\)\]"),
        (lambda: block([(4.5,)]), r"give \[\(C,\)\]"),
        (lambda: block([(0,)]), r"give \[\(C,\)\]"),
        (lambda: block([(4,), (4,)]), "one shape"),
        (lambda: block([()]), "1 to 4 axes"),
        (lambda: block([(4, 2, 2, 2, 2)]), "1 to 4 axes"),
        (lambda: block([(1, 2, 2)]), "at least 2"),
        (lambda: block(dims_c=[(1, 2, 3)]), "same sizes"),
        (lambda: block(dims_c=[(1, 2, 2), (1,)]), "same sizes"),
        (lambda: block(subnet_constructor=None), "subnet_constructor=None"),
        (lambda: block(affine_clamping=-1.0), "affine_clamping=-1.0"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(wrong, match):
    with pytest.raises(InputError, match=match) as caught:
        wrong()
    assert "\n" not in str(caught.value)
