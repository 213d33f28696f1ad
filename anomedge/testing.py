"""The proof in your own tests.

::

    from anomedge.testing import assert_parity

    def test_the_bundle_decides_as_the_model():
        assert_parity("part.anomedge", runtime="openvino", model="part.safetensors", images="pictures/test")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anomedge.bundle import Bundle
from anomedge.parity import Certificate
from anomedge.parity.certificate import failure_text
from anomedge.verification import certify, plan_of

__all__ = ["assert_parity"]


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
    """Assert that a bundle decides as the original: numbers, decisions, pixels, stages and contract.

    Args:
        bundle: an opened bundle or its folder.
        runtime: one or several; all that are installed when None.
        images: folders of pictures. With `model`, both see them; without, the runtimes are compared with one another.
            Without images, the bundle's golden frames say what eager Torch said.
        model: the model file, to compare with eager Torch on this machine.
        batches: sizes; 1, 2, 3 and 8 when empty.
        precision: which of the bundle's variants.
        device: in the runtime's own words, asserted; its default when None.
        threads: of the CPU.
        widen: factor on this release's tolerances, 1 to 100.

    Returns:
        The certificate, for tests that want to hold more than its tolerances.

    Raises:
        AssertionError: a proof failed; the message names each.
        AnomedgeError: the proof could not be made, see `anomedge.errors`.
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
    return certificate
