"""Strict JSON reader, used for every JSON file that anomedge reads.

Python's reader keeps the last of two equal keys and accepts NaN, lone surrogates and integers of any length. Pydantic
converts "0.9" and true to numbers. A threshold must not depend on such conversions, so this reader refuses them all.
"""

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

__all__ = [
    "JsonError",
    "NotPlainError",
    "parse_json",
    "parse_json_array",
    "read_json",
    "read_limited",
    "validated",
]

_DEEPEST = 64
_DIGITS = 300
"""Largest number of digits: float64 ends at 309, and Python needs quadratic time to read an integer."""
_SHOWN = 80
# Without O_NONBLOCK, opening a FIFO waits for its writer.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

Model = TypeVar("Model", bound=BaseModel)


class JsonError(ValueError):
    """A text is not strict JSON, or not of the expected form; the message is one line without the file's name."""


class NotPlainError(JsonError):
    """A path is a link, a folder, a pipe or a device."""


def read_json(path: Path, limit: int, *, links: bool = False) -> dict[str, Any]:
    """Read one JSON object from a plain file.

    Args:
        path: the file.
        limit: largest size, in bytes.
        links: follow a symbolic link; refused by default.

    Raises:
        OSError: the file does not exist or cannot be read.
        NotPlainError: the path is not a plain file.
        JsonError: the file is too large, or `parse_json` refuses it.
    """
    return parse_json(read_limited(path, limit, links=links))


def read_limited(path: Path, limit: int, *, links: bool = False) -> bytes:
    """Read a plain file of limited size.

    The checks are made on the open file: another process may replace or remove the path at any moment.

    Raises:
        OSError: the file does not exist or cannot be read.
        NotPlainError: the path is not a plain file.
        JsonError: the file is too large.
    """
    if not links and path.is_symlink():
        raise NotPlainError("is a link; expected a plain file")
    if path.is_dir():
        raise NotPlainError("is a folder; expected a plain file")
    extra = _NO_WAIT | (0 if links else _NO_LINK)
    with open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | extra)
    ) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise NotPlainError("is a pipe or a device; expected a plain file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise JsonError(
            f"got {max(found.st_size, len(data))} bytes; expected at most {limit}"
        )
    return data


def parse_json(data: bytes | str) -> dict[str, Any]:
    r"""Parse one JSON object.

    >>> parse_json('{"threshold": 1.5}')
    {'threshold': 1.5}
    >>> parse_json('{"threshold": 1.5, "threshold": 2}')
    Traceback (most recent call last):
    anomedge.files.strict_json.JsonError: got the key 'threshold' twice in one object; expected each key once

    Raises:
        JsonError: invalid JSON, not an object, a repeated key, a number that is not finite or has more than 300 digits,
            a lone surrogate in a string, or more than 64 levels. The message names the position in the object if known.
    """
    content = _parsed(data)
    if not isinstance(content, dict):
        raise JsonError(f"got a {type(content).__name__}; expected an object")
    return content


def parse_json_array(data: bytes | str, key: str) -> list[Any]:
    """Parse a JSON array, or a JSON object that holds an array under `key` and has no other key.

    >>> parse_json_array('[1, 2]', "rows"), parse_json_array('{"rows": [1]}', "rows")
    ([1, 2], [1])

    Raises:
        JsonError: as `parse_json`, or another form.
    """
    content = _parsed(data)
    if isinstance(content, dict) and list(content) == [key]:
        content = content[key]
    if not isinstance(content, list):
        raise JsonError(
            f"got a {type(content).__name__}; expected an array, or an object with the key {key!r} only"
        )
    return content


def _parsed(data: bytes | str) -> Any:
    try:
        content = json.loads(
            data, object_pairs_hook=_object, parse_int=_integer
        )
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(f"is not JSON ({error})") from error
    for place, value in _leaves(content):
        _check_leaf(place, value)
    return content


def validated(kind: type[Model], content: Any) -> Model:
    """Validate parsed JSON against a pydantic model, without conversions.

    An integer is accepted as a float, an array as a tuple; a string or a boolean is never a number.

    Raises:
        JsonError: the content does not fit; the message begins with the first place that does not.
    """
    try:
        # Pydantic's strict mode for Python values refuses a list for a tuple; its strict mode for JSON does not.
        return kind.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JsonError(
            f"{place[:_SHOWN] or 'content'}: {first['msg']}"
        ) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise JsonError(
                f"got the key {key[:_SHOWN]!r} twice in one object; expected each key once"
            )
        content[key] = value
    return content


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise JsonError(
            f"got a number of {len(text)} digits; expected at most {_DIGITS}"
        )
    return int(text)


def _leaves(content: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every key, and every value that is not a container, with its path in the object."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), content)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > _DEEPEST:
            raise JsonError(f"has more than {_DEEPEST} levels; expected fewer")
        if isinstance(value, dict):
            yield from ((place, key) for key in value)
            waiting += [((*place, key), child) for key, child in value.items()]
        elif isinstance(value, list):
            waiting += [
                ((*place, number), child) for number, child in enumerate(value)
            ]
        else:
            yield place, value


def _check_leaf(place: tuple[Any, ...], value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise JsonError(
            f"{_shown(place)}: got a number that is not finite; expected a finite one"
        )
    if isinstance(value, str) and not _is_encodable(value):
        raise JsonError(
            f"{_shown(place)}: got a lone surrogate in {_escaped(value)}; expected Unicode text"
        )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(place: tuple[Any, ...]) -> str:
    return _escaped(".".join(str(part) for part in place)) or "content"


def _escaped(text: str) -> str:
    return text[:_SHOWN].encode("utf-8", "backslashreplace").decode()
