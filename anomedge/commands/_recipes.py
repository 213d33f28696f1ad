"""Read export recipes: TOML files with options of `anomedge export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from anomedge.errors import InputError
from anomedge.files import open_plain

__all__ = ["available_recipes", "read_recipe"]

_TYPES = {"opset": int, "batch": str}
"""Options that a recipe may set, and the types of their values."""


def available_recipes() -> list[str]:
    """Return the names of the recipes in the folder `export` of a clone; a wheel has none."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def read_recipe(name: str | None) -> dict[str, Any]:
    """Read a recipe.

    Args:
        name: path of a TOML file, or name of a recipe in the folder `export` of a clone; None for no options.

    Raises:
        InputError: the file cannot be read, or holds an unknown key or a value of another type.
    """
    if name is None:
        return {}
    content = _read_toml(_path_of(name))
    for key, value in content.items():
        if not isinstance(value, _TYPES.get(key, ())):
            raise InputError(
                f'{name}: got {key} = {value!r}; expected opset = 17 or batch = "dynamic"'
            )
    return content


def _path_of(name: str) -> Path:
    if name in available_recipes() and not Path(name).exists():
        return _folder() / f"{name}.toml"
    return Path(name)


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        raise InputError(
            f"got {path} under Python {sys.version.split()[0]}; expected 3.11 or newer, which the export needs"
        )
    import tomllib

    try:
        with open_plain(path) as file:
            return tomllib.load(file)
    except (OSError, ValueError) as error:
        names = ", ".join(available_recipes())
        known = f", or give a name: {names}" if names else ""
        raise InputError(
            f"{path} cannot be read as TOML ({error}); give a file like those in export/{known}"
        ) from error


def _folder() -> Path:
    return Path(__file__).parents[2] / "export"
