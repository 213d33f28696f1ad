"""Daily parts of grids that are too large for every CI run.

`ANOMEDGE_TEST_SAMPLE` is `all`, or a number that selects the part; by default
the number of the day. The number is printed at the end of a run, so that the
same part can be run again.
"""

import datetime
import hashlib
import os

VARIABLE = "ANOMEDGE_TEST_SAMPLE"


def choose_sample():
    """Fix the sample of this run and of its worker processes."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return os.environ.setdefault(VARIABLE, str(today.toordinal()))


def part_of_grid(cases, parts):
    """Return one of `parts` equal parts; each case runs once in `parts` days.

    >>> grid = list(range(10))
    >>> sorted(sum((_part(grid, 3, day) for day in range(3)), []))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    sample = choose_sample()
    return list(cases) if sample == "all" else _part(cases, parts, int(sample))


def _part(cases, parts, number):
    # Neighbours in a grid differ in one option only, so the grid is shuffled.
    shuffled = sorted(cases, key=_digest)
    return shuffled[number % parts :: parts]


def _digest(case):
    return hashlib.sha256(str(case).encode()).digest()
