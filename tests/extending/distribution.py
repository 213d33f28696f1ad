"""Install a dummy distribution into a folder, as pip does: a module and the metadata that names its entry points."""

import os
from pathlib import Path

from tests.documentation import ROOT, blocks

__all__ = [
    "environment_with",
    "install_distribution",
    "install_example_of_the_page",
]


def install_distribution(
    folder: Path, name: str, code: str, entry_points: dict[str, str]
) -> Path:
    """Write the distribution `name` below `folder`, which belongs on the Python path.

    Args:
        folder: site folder, created if it does not exist.
        name: name of the distribution and of its only module.
        code: source of the module.
        entry_points: lines "member = module:Class" by group, without the group's brackets.

    Returns:
        `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    groups = [f"[{group}]\n{line}\n" for group, line in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return folder


def install_example_of_the_page(
    folder: Path, base: str, group: str, member: str
) -> Path:
    """Install the example of docs/extend.md that contains the class `base`.

    Args:
        folder: site folder.
        base: name that only this example contains.
        group: group of the entry point.
        member: line "member = module:Class"; the distribution has the module's name.

    Returns:
        `folder`.
    """
    (example,) = [
        block.text
        for block in blocks(ROOT / "docs" / "extend.md")
        if base in block.text
    ]
    name = member.partition("=")[2].partition(":")[0].strip()
    return install_distribution(folder, name, example, {group: member})


def environment_with(folder: Path) -> dict[str, str]:
    """Return this process's environment with `folder` on the Python path, ahead of anomedge's own folder."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path}
