"""All errors that anomedge raises.

::

    AnomedgeError                 exit code 2: wrong use or bad input
    ├── InputError                unusable picture, array or option
    │   └── SourceLost            exit code 4: a station's camera or folder is gone for good
    ├── ModelError                unusable model file or backbone weights
    ├── BundleError               unusable bundle
    │   ├── SchemaError           the manifest's schema is not supported
    │   └── IntegrityError        the files do not match the manifest
    ├── RuntimeMissing            a required package is not installed
    ├── DeviceMismatch            a runtime does not run on the requested device
    ├── RuntimeFailure            an error of a vendor's library, with its text and its cause
    │   └── GaveUp                exit code 6: a station decided none of many frames in a row
    ├── ExportError               a graph that must not be written
    ├── OutputError               a file or folder that cannot be written
    │   ├── OutputLost            exit code 5: a station's output has no reader, or no space
    │   └── StateLost             exit code 7: a station's state cannot be written any more
    └── ProofFailed               exit code 3: decisions differ from those of the original
        └── TargetRefused         a graph does not build on a target

A message states the value that was given, the value that was expected, and the remedy.
"""

from anomedge.names import printable_message

__all__ = [
    "AnomedgeError",
    "BundleError",
    "DeviceMismatch",
    "ExportError",
    "GaveUp",
    "InputError",
    "IntegrityError",
    "ModelError",
    "OutputError",
    "OutputLost",
    "ProofFailed",
    "RuntimeFailure",
    "RuntimeMissing",
    "SchemaError",
    "SourceLost",
    "StateLost",
    "TargetRefused",
]

_LONGEST = 3000


class AnomedgeError(Exception):
    """Base of all errors; a command that fails with one exits with `exit_code`."""

    exit_code = 2

    def __str__(self) -> str:
        r"""Return the message with control and invisible characters escaped, as in `\x1b`, because names are untrusted.

        Messages over 3,000 characters are shortened in the middle: a name found in a file may be a megabyte long.
        """
        shown = printable_message(super().__str__())
        return (
            shown
            if len(shown) <= _LONGEST
            else f"{shown[: _LONGEST // 2]} ... {shown[-_LONGEST // 2 :]}"
        )


class InputError(AnomedgeError):
    """A picture, an array or an option cannot be used."""


class SourceLost(InputError):
    """A station's source gives no frame any more: no camera after all retries."""

    exit_code = 4


class ModelError(AnomedgeError):
    """A model file or a backbone's weights cannot be used."""


class BundleError(AnomedgeError):
    """A bundle cannot be used."""


class SchemaError(BundleError):
    """A manifest has a schema that this version does not support."""


class IntegrityError(BundleError):
    """A bundle's files do not match its manifest."""


class RuntimeMissing(AnomedgeError):
    """A required package is not installed."""


class DeviceMismatch(AnomedgeError):
    """A runtime does not run on the requested device."""


class RuntimeFailure(AnomedgeError):
    """An error of a vendor's library; `__cause__` is the original error."""


class GaveUp(RuntimeFailure):
    """A station ends because too many consecutive frames were not decided."""

    exit_code = 6


class ExportError(AnomedgeError):
    """A graph must not be written."""


class OutputError(AnomedgeError):
    """A file or folder cannot be written."""


class OutputLost(OutputError):
    """A station's verdicts cannot be written: the reader went away, or the disk is full."""

    exit_code = 5


class StateLost(OutputError):
    """A station cannot write its state any more, so it must not signal: the disk is full, or the file is damaged."""

    exit_code = 7


class ProofFailed(AnomedgeError):
    """Decisions of a copy differ from those of the eager detector."""

    exit_code = 3


class TargetRefused(ProofFailed):
    """A graph does not build on a requested target."""
