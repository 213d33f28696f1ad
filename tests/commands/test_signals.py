"""Signals that stop the program: handled within the block, and as before after it."""

import signal
import threading

import pytest

from anomedge.commands._signals import stop_signals_handled

NUMBERS = (signal.SIGTERM, signal.SIGINT)


def handlers():
    return [signal.getsignal(number) for number in NUMBERS]


@pytest.mark.parametrize("number", NUMBERS)
def test_both_signals_call_the_handler(number):
    before, seen = handlers(), []
    with stop_signals_handled(lambda number, _: seen.append(number)):
        signal.raise_signal(number)
    assert seen == [number]
    assert handlers() == before


def test_the_earlier_handlers_come_back_after_an_error():
    before = handlers()
    with pytest.raises(ValueError), stop_signals_handled(lambda *_: None):
        assert handlers() != before
        raise ValueError
    assert handlers() == before


def test_other_threads_leave_the_handlers_alone():
    before, seen = handlers(), []

    def run():
        with stop_signals_handled(lambda *_: None):
            seen.append(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
