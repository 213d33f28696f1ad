"""Command that runs a module of this package in a process of its own, which imports from where this process does.

`python -m` and `python -c` put the current folder first on the path: a file there named like a vendor's package would run.
`PYTHONSAFEPATH` prevents that from Python 3.11 on; devices have 3.10.
"""

from __future__ import annotations

import json
import sys

__all__ = ["command_of"]

_START = (
    "import sys; sys.path = [path for path in sys.path if path]; import json, runpy; "
    "sys.path[:] = json.loads(sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def command_of(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as a program.

    >>> command_of("anomedge.doctor.worker", "probe", "processor")[-3:]
    ['anomedge.doctor.worker', 'probe', 'processor']
    """
    paths = json.dumps([str(path) for path in sys.path])
    return [sys.executable, "-c", _START, paths, module, *arguments]
