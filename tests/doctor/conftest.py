"""The machine of the runtimes' tests."""

from tests.runtimes.conftest import machine

__all__ = ["machine"]
