"""Errors: their exit codes, and messages that are safe to show."""

import inspect

import pytest

from anomedge import errors
from anomedge.errors import (
    AnomedgeError,
    GaveUp,
    OutputLost,
    ProofFailed,
    SourceLost,
    StateLost,
    TargetRefused,
)

ALL = [getattr(errors, name) for name in errors.__all__]


def test_every_error_is_public_and_in_the_tree_of_the_docstring():
    defined = {
        name
        for name, member in inspect.getmembers(errors, inspect.isclass)
        if member.__module__ == errors.__name__
    }
    assert set(errors.__all__) == defined
    drawn = {word for word in errors.__doc__.split() if word in defined}
    assert drawn == defined


EXIT_CODES = {
    ProofFailed: 3,
    TargetRefused: 3,
    SourceLost: 4,
    OutputLost: 5,
    GaveUp: 6,
    StateLost: 7,
}


@pytest.mark.parametrize("error", ALL)
def test_ends_of_other_kinds_have_exit_codes_of_their_own(error):
    assert error.exit_code == EXIT_CODES.get(error, 2)
    assert issubclass(error, AnomedgeError)


def test_names_in_a_message_cannot_steer_a_terminal():
    text = str(AnomedgeError("a\x1b[31m, b\u202e, c\nd:\n  next line"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[31m" in text
    assert text.endswith("c\\nd:\n  next line")


@pytest.mark.parametrize(("length", "shortened"), [(3000, False), (3001, True)])
def test_long_messages_are_shortened_in_the_middle(length, shortened):
    given = "a" + "x" * (length - 2) + "z"
    text = str(AnomedgeError(given))
    assert (text != given) == shortened
    assert (text[0], text[-1]) == ("a", "z")
    assert (" ... " in text) == shortened
    assert len(text) <= 3005
