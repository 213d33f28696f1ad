"""Install a dummy distribution into a folder, as pip does: a module and the metadata that names its entry points."""

import os
from pathlib import Path

__all__ = ["environment_with", "install_distribution"]


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


def environment_with(folder: Path) -> dict[str, str]:
    """Return this process's environment with `folder` on the Python path, ahead of anomedge's own folder."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(folder), str(root)])
    return {**os.environ, "PYTHONPATH": path}
