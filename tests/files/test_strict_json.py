"""The strict JSON reader, and every file that is read with it."""

import json
import os
import struct

import pytest
from pydantic import BaseModel

from anomedge.errors import InputError, ModelError
from anomedge.files import (
    JsonError,
    NotPlainError,
    parse_json,
    read_json,
    validated,
)
from anomedge.lint import target
from anomedge.parity.certificate import (
    TOLERANCES,
    Certificate,
    PictureCount,
    Subject,
)
from anomedge.pipelines import model

SPOILT = {
    b'{"a": 1, "a": 1}': "the key 'a' twice",
    b'{"x": {"a": 1, "b": 2, "a": 3}}': "the key 'a' twice",
    b'{"x": {"a": NaN}}': r"^x\.a: got a number that is not finite",
    b'{"x": [1, -Infinity]}': r"^x\.1: got a number that is not finite",
    b'{"x": 1e999}': "^x: got a number that is not finite",
    b'{"x": "\\ud800"}': r"^x: got a lone surrogate in \\ud800",
    b'{"x": ["\xed\xa0\x80"]}': r"^x\.0: got a lone surrogate in \\ud800",
    b'{"\\udfff": 1}': r"got a lone surrogate in \\udfff",
    b'{"x": ' + b"1" * 400 + b"}": "a number of 400 digits",
    b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}": "more than 64 levels",
    b"[" * 100_000: "is not JSON",
    b"": "is not JSON",
    b"{} {}": "is not JSON",
    b"\xff": "is not JSON",
    b"[1]": "got a list; expected an object",
    b'"x"': "got a str; expected an object",
}


@pytest.mark.parametrize(
    "data", SPOILT, ids=lambda data: data[:24].decode(errors="replace")
)
def test_what_is_no_strict_json_is_refused_by_name(data):
    with pytest.raises(JsonError, match=SPOILT[data]) as caught:
        parse_json(data)
    str(caught.value).encode()  # the message itself can be written
    assert "\n" not in str(caught.value)


def test_what_is_json_is_read_as_python_reads_it():
    content = {
        "a": [1, 2.5, None, True, "\U0001f600 \u00e9"],
        "b": {"a": {}, "": []},
        "big": 10**299,
    }
    assert parse_json(json.dumps(content)) == content
    assert (
        parse_json(json.dumps(content, ensure_ascii=False).encode()) == content
    )


class Row(BaseModel):
    """A number, a count and two bounds."""

    number: float = 0.0
    count: int = 0
    flag: bool = False
    bounds: tuple[float, float] = (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"number": true}', "number"),
        ('{"number": "0.9"}', "number"),
        ('{"count": true}', "count"),
        ('{"count": "1"}', "count"),
        ('{"count": 1.0}', "count"),
        ('{"flag": 1}', "flag"),
        ('{"bounds": [1, "2"]}', r"bounds\.1"),
    ],
)
def test_nothing_is_converted_to_a_number(text, place):
    with pytest.raises(JsonError, match=f"^{place}: "):
        validated(Row, parse_json(text))


def test_integers_are_numbers_and_arrays_are_tuples():
    assert validated(Row, {"number": 1, "bounds": [1, 2.5]}) == Row(
        number=1.0, bounds=(1.0, 2.5)
    )


def test_only_plain_files_of_a_bounded_size_are_read(tmp_path):
    (tmp_path / "plain").write_text("{}")
    (tmp_path / "link").symlink_to("plain")
    # An open without O_NONBLOCK would wait for ever.
    os.mkfifo(tmp_path / "pipe")
    assert read_json(tmp_path / "plain", 2) == {}
    assert read_json(tmp_path / "link", 2, links=True) == {}
    for path in (tmp_path / "link", tmp_path / "pipe", tmp_path):
        with pytest.raises(NotPlainError, match="expected a plain file"):
            read_json(path, 2)
    with pytest.raises(JsonError, match="got 2 bytes; expected at most 1"):
        read_json(tmp_path / "plain", 1)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "missing", 2)


def header(tmp_path, inner, outer='{"__metadata__": %s}'):
    """Write the beginning of a model file with this metadata."""
    data = (outer % json.dumps({"anomedge": inner})).encode()
    path = tmp_path / "part.safetensors"
    path.write_bytes(struct.pack("<Q", len(data)) + data)
    return path


@pytest.mark.parametrize(
    ("inner", "outer", "match"),
    [
        ('{"a": 1, "a": 2}', '{"__metadata__": %s}', "the key 'a' twice"),
        ("{}", '{"x": 1, "x": 2, "__metadata__": %s}', "the key 'x' twice"),
        (
            '{"detector": "\\ud800"}',
            '{"__metadata__": %s}',
            "detector: got a lone surrogate",
        ),
        ('{"size": [true, 96]}', '{"__metadata__": %s}', "size.0|detector"),
    ],
)
def test_metadata_of_models_is_read_strictly(tmp_path, inner, outer, match):
    with pytest.raises(ModelError, match=match):
        model.load(header(tmp_path, inner, outer))


@pytest.mark.parametrize(
    "text",
    [
        '{"like": "tensorrt-10.3", "title": "a", "title": "b"}',
        '{"title": "\\ud800"}',
    ],
)
def test_lint_targets_are_read_strictly(tmp_path, text):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"twice|lone surrogate"):
        target.load(str(path))


def test_every_target_that_comes_along_is_strict():
    assert all(target.load(name).checks for name in target.available())


def certificate():
    """A small certificate as JSON."""
    counts = dict.fromkeys(PictureCount.model_fields, 1) | {"sizes": ()}
    about = Subject(
        graphs={}, golden="0" * 64, decision="0" * 64, pictures="0" * 64
    )
    return Certificate(
        bundle="0" * 64, about=about, reference="eager torch", machine={}, tools={}, scale=1.0, threshold=1.0,
        tolerances={"fp32": TOLERANCES["fp32"]}, pictures=PictureCount(**counts), cells=(), checks=(),
    ).to_json()  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"threshold": True}, {"threshold": "0.9"}, {"schema_version": True}],
)
def test_certificates_are_read_strictly(change):
    content = certificate()
    Certificate.from_json(content)
    with pytest.raises(JsonError, match=next(iter(change))):
        Certificate.from_json(content | change)
