"""Run a command line in this process, as the program does."""

from anomedge.__main__ import application
from anomedge.commands._exit_codes import run_to_exit_code


def run(*arguments):
    """Return the exit code of `anomedge` with these arguments."""
    return run_to_exit_code(
        lambda given: application()(given, prog_name="anomedge"),
        [str(a) for a in arguments],
    )
