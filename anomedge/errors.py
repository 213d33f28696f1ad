"""Every error that anomedge raises on purpose.

::

    AnomedgeError                 exit code 2: wrong use or bad input
    ├── InputError                a picture, an array or an option that cannot be used
    ├── ModelError                a model file or a backbone's weights that cannot be used
    ├── BundleError               a bundle that cannot be used
    │   ├── SchemaError           its manifest does not say what this version understands
    │   └── IntegrityError        its files are not what its manifest says
    ├── RuntimeMissing            a runtime that is not installed here
    ├── DeviceMismatch            a runtime that runs elsewhere than it was asked to
    ├── RuntimeFailure            a vendor's own error, with its text and its cause
    ├── ExportError               a graph that must not be written
    ├── OutputError               a target that cannot be written
    └── ProofFailed               exit code 3: a copy does not decide as the original
        └── TargetRefused         a graph that will not build on a target

A message says what was got, what was expected and what to do.
"""

from anomedge.names import printable_lines

__all__ = [
    "AnomedgeError",
    "BundleError",
    "DeviceMismatch",
    "ExportError",
    "InputError",
    "IntegrityError",
    "ModelError",
    "OutputError",
    "ProofFailed",
    "RuntimeFailure",
    "RuntimeMissing",
    "SchemaError",
    "TargetRefused",
]

_LONGEST = 3000


class AnomedgeError(Exception):
    """Root of the tree; a command that ends with it exits with `exit_code`."""

    exit_code = 2

    def __str__(self) -> str:
        r"""The message, with what a terminal would obey or hide (names come from anywhere) as escapes such as \x1b.

        What is longer than anybody reads is cut in the middle: a name found in a file may be a megabyte.
        """
        shown = printable_lines(super().__str__())
        return (
            shown
            if len(shown) <= _LONGEST
            else f"{shown[: _LONGEST // 2]} ... {shown[-_LONGEST // 2 :]}"
        )


class InputError(AnomedgeError):
    """A picture, an array or an option cannot be used."""


class ModelError(AnomedgeError):
    """A model file or a backbone's weights cannot be used."""


class BundleError(AnomedgeError):
    """A bundle cannot be used."""


class SchemaError(BundleError):
    """A manifest does not say what this version understands."""


class IntegrityError(BundleError):
    """A bundle's files are not what its manifest says."""


class RuntimeMissing(AnomedgeError):
    """A runtime is not installed here."""


class DeviceMismatch(AnomedgeError):
    """A runtime does not run where it was asked to."""


class RuntimeFailure(AnomedgeError):
    """A vendor's own error, translated at the seam; the cause is kept."""


class ExportError(AnomedgeError):
    """A graph must not be written."""


class OutputError(AnomedgeError):
    """A target cannot be written."""


class ProofFailed(AnomedgeError):
    """A copy does not decide as the eager detector does."""

    exit_code = 3


class TargetRefused(ProofFailed):
    """A graph will not build on a target that was asked for."""
