"""Assert parity in the test suite of an application.

::

    from anomedge.testing import assert_parity

    def test_the_bundle_decides_as_the_model():
        assert_parity("part.anomedge", runtime="openvino", model="part.safetensors", images="pictures/test")
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from anomedge.bundle import Bundle
from anomedge.names import printable
from anomedge.parity import Certificate
from anomedge.parity.certificate import failure_text
from anomedge.verification import certify, plan_of

__all__ = ["WeakProofWarning", "assert_parity"]


class WeakProofWarning(UserWarning):
    """A proof passed, and nothing but the bundle itself vouches for its reference."""


def assert_parity(
    bundle: Bundle | Path | str,
    runtime: str | Sequence[str] | None = None,
    images: Path | str | Sequence[Path | str] = (),
    *,
    model: Path | str | None = None,
    batches: Sequence[int] = (),
    precision: str = "fp32",
    device: str | None = None,
    threads: int | None = None,
    widen: float = 1.0,
) -> Certificate:
    """Assert that a bundle decides as the original.

    Numbers, decisions, pixels, stages and the contract are compared.

    Args:
        bundle: an opened bundle or its folder.
        runtime: name or names of runtimes; all that are installed if None.
        images: folders of pictures. Without `model`, the runtimes are compared
            with one another on them; without images, every runtime is compared
            with the golden frames.
        model: model file, to compare with eager Torch on this machine.
        batches: batch sizes; 1, 2, 3 and 8 if empty.
        precision: a precision of the bundle.
        device: device in the vendor's notation, checked after opening; the
            runtime's default if None.
        threads: CPU threads; the runtime's default if None.
        widen: factor on this release's tolerances, 1 to 100.

    Returns:
        The certificate, for further assertions; `verdict_line` and `cautions` say
        how strong it is.

    Warns:
        WeakProofWarning: no model was given, and no certificate of eager Torch is
            about this bundle; a changed threshold would not be noticed.

    Raises:
        AssertionError: the proof failed; the message lists the failures.
        AnomedgeError: the proof could not run; see `anomedge.errors`.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    names = [runtime] if isinstance(runtime, str) else list(runtime or ())
    folders = [images] if isinstance(images, (str, Path)) else list(images)
    plan = plan_of(opened, names, batches, precision, device, threads, widen)
    certificate = certify(
        opened,
        plan,
        Path(model) if model else None,
        [Path(folder) for folder in folders],
    )
    if not certificate.passed:
        raise AssertionError(
            failure_text(
                certificate, f"{opened.path} does not decide as the original"
            )
        )
    if certificate.reference_cautions:
        warnings.warn(
            printable(f"{opened.path}: {certificate.verdict_line}"),
            WeakProofWarning,
            stacklevel=2,
        )
    return certificate
