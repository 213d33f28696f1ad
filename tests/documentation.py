"""Read the Markdown pages of the project: fenced blocks and commands."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
JOBS = tuple(
    ROOT / "docs" / f"{name}.md"
    for name in ("fit", "export", "prove", "evaluate", "deploy", "station")
)
PAGES = (
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "export").rglob("*.md")),
    *sorted((ROOT / "runtimes").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
)
PROGRAMS = ("anomedge ", "python -m anomedge.")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, empty if not stated, and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text) for language, text in found]


def commands(page: Path, languages: tuple[str, ...] = ("",)) -> list[str]:
    """Return the `anomedge` commands in the blocks of some languages."""
    found = []
    for block in blocks(page):
        if block.language in languages:
            lines = block.text.replace("\\\n", " ").splitlines()
            found += [line for line in lines if line.startswith(PROGRAMS)]
    return found
