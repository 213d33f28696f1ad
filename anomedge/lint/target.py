"""Deployment targets: one JSON file each in the folder `targets`, or a file of the user; every rule states its source.

A file may extend another target: `"like": "tensorrt-10.3"`. Its operators and rules replace those of the same name, and
null removes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anomedge.errors import InputError
from anomedge.files import JsonError, read_json, validated
from anomedge.lint.rule import Text
from anomedge.lint.rules import AnyRule

__all__ = ["Target", "available", "is_target", "load"]

_LIMIT = 1 << 20
_FAMILY = "tensorrt-"


class Target(BaseModel):
    """One release, or one device.

    Attributes:
        title: name for display.
        source: document of the table of operators.
        real: vendor whose parser checks graphs for this target, if installed; None for none.
        evidence: meaning of a successful run of that parser.
        reads: file formats of the target: "onnx", or "onnx and ir".
        operators: data types of each ONNX operator, separated by spaces; "any", or "" if refused.
        checks: the rules by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: Text
    source: Text
    real: Literal["rtx", "openvino"] | None = None
    evidence: str = ""
    reads: Literal["onnx", "onnx and ir"] = "onnx"
    operators: Annotated[dict[str, str], Field(min_length=1)]
    checks: Annotated[dict[str, AnyRule], Field(min_length=1)]


def available() -> list[str]:
    """Return the names of the targets of this package, releases in order."""
    return sorted((path.stem for path in _folder().glob("*.json")), key=_order)


def is_target(name: str) -> bool:
    """Return whether a name is one of a target, a TensorRT release's number, or a .json file.

    >>> is_target("rtx"), is_target("10.3"), is_target("my.json"), is_target("part.anomedge")
    (True, True, True, False)
    """
    names = available()
    return name.endswith(".json") or name in names or _FAMILY + name in names


def load(name: str) -> Target:
    """Return the target of a name, of a TensorRT release's number, or of a .json file.

    >>> load("10.3").title
    'TensorRT 10.3 (JetPack 6.1 and 6.2)'

    Raises:
        InputError: the name is unknown, or the file does not describe a target.
    """
    own = name.endswith(".json")
    full = name if own or name in available() else _FAMILY + name
    if not own and full not in available():
        known = ", ".join(available())
        raise InputError(
            f"got target {name!r}; expected one of: {known}; or a .json file like theirs"
        )
    path = Path(full) if own else _folder() / f"{full}.json"
    try:
        return validated(Target, {"name": path.stem, **_content(path, ())})
    except JsonError as error:
        raise InputError(
            f"{path} is not a valid description of a target ({error}); see {_folder()}"
        ) from error


def _content(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Return the content of a file, merged with the target that it extends."""
    content = _json(path)
    like = content.pop("like", None)
    if like is None:
        return content
    if like not in available() or path in seen:
        raise InputError(
            f"{path}: got like = {like!r}; expected another one of: {', '.join(available())}"
        )
    base = _content(_folder() / f"{like}.json", (*seen, path))
    merged = {
        key: _merged(base.get(key), content.get(key))
        for key in ("operators", "checks")
    }
    return {**base, "real": None, **content, **merged}


def _merged(base: Any, own: Any) -> dict[str, Any]:
    both = {
        **(base if isinstance(base, dict) else {}),
        **(own if isinstance(own, dict) else {}),
    }
    return {key: value for key, value in both.items() if value is not None}


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, _LIMIT, links=True)
    except (OSError, JsonError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be read ({reason}); expected a target's facts as JSON"
        ) from error


def _order(name: str) -> tuple[Any, ...]:
    """Return a sort key that orders releases by number."""
    family, _, version = name.rpartition("-")
    numbers = version.split(".")
    return (
        (family or name, *(int(n) for n in numbers))
        if all(n.isdecimal() for n in numbers)
        else (name,)
    )


def _folder() -> Path:
    return Path(__file__).parent / "targets"
