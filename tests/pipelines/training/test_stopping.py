"""Signals while an epoch is stored: they wait for its end, and a second one does not."""

import signal
import threading

import pytest

from anomedge.pipelines.training.stopping import stop_signals_held


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request):
    """Return a signal whose handler raises KeyboardInterrupt."""
    former = signal.signal(request.param, signal.default_int_handler)
    yield request.param
    signal.signal(request.param, former)


def test_a_signal_waits_for_the_end_of_the_block(number):
    done = []
    with pytest.raises(KeyboardInterrupt), stop_signals_held():
        signal.raise_signal(number)
        done.append("stored")
    assert done == ["stored"]
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_second_signal_interrupts_the_block(number):
    done = []
    with pytest.raises(KeyboardInterrupt), stop_signals_held():
        signal.raise_signal(number)
        done.append("waited")
        signal.raise_signal(number)
        done.append("stored")
    assert done == ["waited"]
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored():
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_signals_held():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, former)


def test_other_threads_leave_the_handlers_alone():
    handlers = []

    def run():
        with stop_signals_held():
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [before]
