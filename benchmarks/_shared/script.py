"""Parts of benchmark scripts that run their steps in other processes."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ran_as_child", "working_folder", "write_page"]


def ran_as_child(package: str) -> bool:
    """Run the step that `--child STEP JSON RESULT` names, and return True; return False without that option.

    A step is the function `main` of a module of the package; its result is written as JSON.
    """
    if sys.argv[1:2] != ["--child"]:
        return False
    name, asked, result = sys.argv[2:]
    step = importlib.import_module(f"{package}.{name}")
    returned = step.main(json.loads(asked))
    Path(result).write_text(json.dumps(returned), encoding="utf-8")
    return True


@contextmanager
def working_folder(given: Path | None) -> Iterator[Path]:
    """Yield the given folder, which is made and kept, or a temporary one."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def write_page(path: Path | None, text: str) -> None:
    """Print a page; write it, if a path is given."""
    print(text)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
