"""Read export recipes: TOML files with options of `anomedge export`, which the command line overrides."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from anomedge.errors import InputError
from anomedge.files import open_plain

__all__ = [
    "available_recipes",
    "read_recipe",
    "recipe_options",
    "recipe_targets",
]

_LIKE, _TARGETS = "like", "targets"
_OWN = {_LIKE: str, _TARGETS: list}
"""Keys that are no options: a recipe to extend, and the lint targets that the bundle is for."""
_NEVER = {"model", "output", "recipe", "force", "as_json", "return"}
"""Parameters of the command that name this one export."""
_DEEPEST = 5


def available_recipes() -> list[str]:
    """Return the names of the recipes in the folder `export` of a clone; a wheel has none."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def recipe_options(command: Callable[..., None]) -> dict[str, type]:
    """Return the options that a recipe may set, with the types of their values, from the command's parameters."""
    hints = get_type_hints(command)
    return {
        name: _kind_of(hint)
        for name, hint in hints.items()
        if name not in _NEVER
    }


def _kind_of(hint: Any) -> type:
    """Return the type of an option's values without None: list, str, int, float or bool."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    kind = kinds[0] if kinds and get_origin(hint) is not list else hint
    found: type = get_origin(kind) or kind
    return found


def read_recipe(name: str, allowed: Mapping[str, type]) -> dict[str, Any]:
    """Return the options of a recipe, with those of the recipe that it extends.

    Args:
        name: path of a TOML file, or name of a recipe in the folder `export` of a clone.
        allowed: the options that may be set, with the types of their values.

    Raises:
        InputError: the file cannot be read, or holds an unknown key or a value of another type.
    """
    content = _whole(name)
    for key, value in content.items():
        _check(name, key, value, {**allowed, **_OWN})
    return {k: v for k, v in content.items() if k not in _OWN}


def recipe_targets(name: str) -> list[str]:
    """Return the lint targets of the devices that a recipe is for."""
    return list(_whole(name).get(_TARGETS, ()))


def _whole(name: str, depth: int = 0) -> dict[str, Any]:
    """Return a recipe's content over that of the recipe that it extends."""
    content = _read_toml(_path_of(name))
    base = content.get(_LIKE)
    if not isinstance(base, str):
        return content
    if base not in available_recipes() or depth >= _DEEPEST:
        raise InputError(
            f"{name}: got like = {base!r}; expected another recipe: {', '.join(available_recipes()) or 'a clone has them'}"
        )
    return _whole(base, depth + 1) | content


def _check(
    name: str, key: str, value: object, allowed: Mapping[str, type]
) -> None:
    """Refuse an unknown key, or a value of another type; click checks ranges."""
    kind = allowed.get(key)
    if kind is None:
        raise InputError(
            f"{name}: got {key} = {value!r}; expected one of: {', '.join(sorted(allowed))}"
        )
    whole = type(value) is int and kind is float
    texts = kind is not list or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )
    if not (whole or (type(value) is kind and texts)):
        shown = "a list of texts" if kind is list else _EXAMPLES[kind]
        raise InputError(f"{name}: got {key} = {value!r}; expected {shown}")


_EXAMPLES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: 'a text, such as "1"',
}


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
    except (OSError, ValueError, RecursionError) as error:
        names = ", ".join(available_recipes())
        known = f", or give a name: {names}" if names else ""
        raise InputError(
            f"{path} cannot be read as TOML ({error}); give a file like those in export/{known}"
        ) from error


def _folder() -> Path:
    return Path(__file__).parents[2] / "export"
