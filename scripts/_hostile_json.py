"""Unusual JSON values, and random operations on JSON documents."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from _copies import walk_json

__all__ = ["HOSTILE_NAMES", "RAW", "hostile_value", "operate"]

_MARK = "@raw@"
RAW = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "-0", "1.0", "1e2", '"\\ud800"', '"\\udfff\\ud800"',
    "[" * 400 + "]" * 400, "[" * 900 + "]" * 900, "[" * 50_000 + "]" * 50_000, '{"a":' * 300 + "1" + "}" * 300,
    '{"a":1,"a":2}', "truE", "'x'", "// comment", "", "0x10", "1_000",
)  # fmt: skip
HOSTILE_NAMES = (
    "", ".", "..", "/", "//", "../x", "../secret.bin", "golden/../../secret.bin", "/etc/hostname", "/etc/passwd", "a\\b",
    "..\\secret.bin", "C:/x", "C:\\x", "a:b", "con", "golden/", "./model.onnx", "golden//000.png", "a\0b", "\0", "x" * 300,
    "x/" * 3000 + "x", "\u202egnp.exe", "e\u0301", "\ud800", "a\nb", "a\x1b[2Jb", "~/.ssh/id", "$HOME", "%00", "file:///etc/passwd",
    "manifest.json", "local.json", "certificates", "certificates/host.json", "golden", "model.onnx/x", " model.onnx", "model.onnx ",
    "MODEL.ONNX", "/dev/stdin", "/dev/zero", "/proc/self/mem", "/proc/self/fd/0",
)  # fmt: skip


def hostile_value(rng: Random, depth: int = 0) -> Any:
    """Return an unusual JSON value."""
    values: list[Any] = [
        None, True, False, 0, -1, 1, 7, 16384, 16385, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308, -1e308, 5e-324,
        "", "x", "1", "dynamic", "fp32", "é" * 50, "x" * 100_000, [], {}, [[]], [None] * 2000, [0], {"": {}}, {"a": "b"},
        rng.choice(HOSTILE_NAMES), rng.random() * 10 ** rng.randint(-30, 30), rng.getrandbits(rng.randint(1, 200)),
    ]  # fmt: skip
    if depth < 2:
        values += [
            [hostile_value(rng, depth + 1)],
            {rng.choice(HOSTILE_NAMES): hostile_value(rng, depth + 1)},
        ]
    return rng.choice(values)


def operate(content: Any, rng: Random) -> dict[str, str]:
    """Apply one random operation to a JSON document in place; return raw text to insert afterwards."""
    places = walk_json(content)
    if not places:
        return {}
    *parents, key = rng.choice(places)
    holder = content
    for part in parents:
        holder = holder[part]
    return rng.choice(_OPERATIONS)(holder, key, content, rng) or {}


def _set(holder: Any, key: Any, _: Any, rng: Random) -> None:
    holder[key] = hostile_value(rng)


def _drop(holder: Any, key: Any, _: Any, __: Random) -> None:
    del holder[key]


def _add(holder: Any, _: Any, __: Any, rng: Random) -> None:
    if isinstance(holder, dict):
        holder[
            rng.choice(
                [
                    *HOSTILE_NAMES,
                    "self",
                    "cls",
                    "__class__",
                    "model_config",
                    "digest",
                    "x",
                ]
            )
        ] = hostile_value(rng)
    else:
        holder.insert(rng.randint(0, len(holder)), hostile_value(rng))


def _wrap(holder: Any, key: Any, _: Any, rng: Random) -> None:
    holder[key] = rng.choice(
        [[holder[key]], {"x": holder[key]}, [holder[key]] * 3]
    )


def _retype(holder: Any, key: Any, _: Any, rng: Random) -> None:
    value = holder[key]
    if isinstance(value, (dict, list)):
        holder[key] = (
            list(value)
            if isinstance(value, dict)
            else {str(i): v for i, v in enumerate(value)}
        )
    elif isinstance(value, (bool, int, float)):
        holder[key] = rng.choice(
            [
                str(value),
                float(value),
                int(value),
                -value,
                value * 1e6,
                value + 1,
                [value],
            ]
        )
    else:
        holder[key] = rng.choice(
            [
                str(value).encode().hex(),
                f"{value}\0",
                f" {value}",
                str(value).upper(),
                0,
            ]
        )


def _graft(holder: Any, key: Any, content: Any, rng: Random) -> None:
    """Replace a part of the document by a copy of another part."""
    found = content
    for part in rng.choice(walk_json(content)):
        found = found[part]
    holder[key] = json.loads(json.dumps(found))


def _raw(holder: Any, key: Any, _: Any, rng: Random) -> dict[str, str]:
    holder[key] = _MARK
    return {_MARK: rng.choice(RAW)}


def _swell(holder: Any, key: Any, _: Any, rng: Random) -> None:
    value = holder[key]
    if isinstance(value, list):
        holder[key] = value * rng.choice([0, 2, 500])
    elif isinstance(value, dict):
        holder[key] = value | {
            f"{k}-{i}": v
            for k, v in list(value.items())[:2]
            for i in range(rng.choice([1, 3000]))
        }
    else:
        holder[key] = str(value) * rng.choice([0, 2, 5000])


_OPERATIONS: tuple[Callable[[Any, Any, Any, Random], dict[str, str] | None], ...] = (
    _set, _set, _drop, _add, _wrap, _retype, _retype, _graft, _raw, _swell,
)  # fmt: skip
