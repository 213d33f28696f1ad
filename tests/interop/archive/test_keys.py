"""Keys of dicts and items of sets: hashed and compared in bounded time."""

import pytest

from anomedge.errors import ModelError
from anomedge.interop.archive.keys import KeyCheck
from anomedge.interop.archive.limits import Budget, Refused
from anomedge.interop.archive.records import Record
from tests.interop.archive.making import PROTO, content_of, write_archive


def test_number_keys_are_bounded_because_their_hashes_are_known(tmp_path):
    """Integers can be chosen so that each search in the table visits all others: 110 us per key at 40,000 of them."""
    keys = b"".join(b"J" + key.to_bytes(4, "little") for key in range(50_001))
    archive = write_archive(
        tmp_path / "keys.ckpt", PROTO + b"\x8f(" + keys + b"\x90."
    )
    with pytest.raises(ModelError, match="over 50000 of its keys are numbers"):
        content_of(archive)


@pytest.fixture
def check():
    return KeyCheck(Budget(1 << 20))


def nested(levels):
    """A tuple of two tuples, each of two, and so on."""
    value = ()
    for _ in range(levels):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    "key",
    ["text", b"bytes", 5, -1.5, True, None, Record("a", "B"), (1, ("a", b"b")), frozenset({1, 2}), 1 << 61],
)  # fmt: skip
def test_plain_keys_are_returned(check, key):
    assert check(key) is key


@pytest.mark.parametrize("key", [[], {}, set(), (1, []), (1, (2, {}))])
def test_keys_with_lists_or_dicts_are_refused(check, key):
    with pytest.raises(Refused, match="got a key with a"):
        check(key)


@pytest.mark.parametrize(
    ("key", "fits"),
    [(nested(7), True), (nested(60), False), (("a" * 990,), True), (("a" * 1000,), False), ((0,) * 400, True), ((0,) * 600, False)],
)  # fmt: skip
def test_a_key_has_at_most_a_thousand_parts(check, key, fits):
    if fits:
        assert check(key) is key
        return
    with pytest.raises(Refused, match="over 1000 parts"):
        check(key)


def test_tuples_and_large_integers_are_counted_together(check):
    for number in range(500):
        check((number,))
        check((1 << 61) + number)
    check(7)
    with pytest.raises(Refused, match="over 1000 of its keys are tuples"):
        check(("one more",))


def test_text_is_charged_each_time_that_it_is_a_key():
    check = KeyCheck(Budget(0))
    text = "a" * (30 << 20)
    check(text)
    with pytest.raises(Refused, match="more memory"):
        check(text)
