"""Check the metadata of graphs: those of a layout, and the contract that the graph carries, against the manifest.

The proof reads the files itself and, where OpenVINO is installed, compares an IR also as OpenVINO reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from anomedge.bundle import Bundle
from anomedge.bundle.graph_contract import (
    ONNX_PREFIX,
    SECTION,
    as_properties,
    entries_of_contract,
)
from anomedge.bundle.metadata import metadata_of_ir, properties_of_onnx
from anomedge.bundle.operators import faults_of_ir, faults_of_onnx
from anomedge.bundle.variants import FORMATS, MODEL
from anomedge.errors import InputError
from anomedge.layouts import LAYOUTS, Frames, Layout
from anomedge.runtimes.ov import rt_info_as_read

__all__ = [
    "carries_contract",
    "contract_in",
    "contract_of",
    "differing_entries",
    "faults_of_contract",
    "faults_of_model_info",
    "faults_of_properties",
    "faults_of_section",
    "shipped_graphs",
]

IR_INPUT_LAYOUT = "[N,C,H,W]"
"""Layout of the input of an IR with metadata of Model API, as OpenVINO writes it."""

_MODEL_INFO = "model_info"


def contract_of(bundle: Bundle, layout: type[Layout]) -> dict[str, str]:
    """Return the contract that the bundle's graphs of a layout carry; empty if none of its graphs carries one."""
    if not carries_contract(bundle):
        return {}
    return entries_of_contract(bundle.manifest, layout.form())


def carries_contract(bundle: Bundle) -> bool:
    """Whether any shipped graph of a bundle carries a contract; then all of them must. Bundles of early releases carry none."""
    return any(
        contract_in(name, bundle.read(name))
        for _, name in shipped_graphs(bundle)
    )


def shipped_graphs(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield role and file of the graphs that programs open, in every precision."""
    for variant in bundle.manifest.variants.values():
        for role in (MODEL, *variant.layouts()):
            for kind in FORMATS:
                name = variant.find(role, kind)
                if name is not None:
                    yield role, name


def contract_in(name: str, content: bytes) -> dict[str, str]:
    """Return the contract in a graph's file, ONNX or IR, by key without a prefix; empty without one."""
    if name.endswith(".xml"):
        return metadata_of_ir(content).contract
    properties = properties_of_onnx(content).items()
    return {
        key.removeprefix(ONNX_PREFIX): value
        for key, value in properties
        if key.startswith(ONNX_PREFIX)
    }


def faults_of_contract(
    bundle: Bundle, role: str, name: str, content: bytes
) -> Iterator[str]:
    """Yield one phrase per entry of a graph's contract that is not the manifest's.

    Args:
        bundle: a bundle whose graphs carry contracts.
        role: the model, or a layout; one that is not installed is left to the check of that layout.
        name: the graph's file, ONNX or IR.
        content: its bytes, which `faults_of_onnx` or `faults_of_ir` accepts.
    """
    expected = _expected(bundle, role)
    if expected is None:
        return
    if role == MODEL and not name.endswith(".xml"):
        # The model has no other properties.
        properties = properties_of_onnx(content)
        yield from _differing(properties, as_properties(expected))
        return
    wrong = _differing(contract_in(name, content), expected)
    yield from wrong
    if name.endswith(".xml") and not wrong:
        weights = bundle.read(name.removesuffix(".xml") + ".bin")
        yield from faults_of_section(content, weights, SECTION, expected)


def differing_entries(
    bundle: Bundle, role: str, found: Mapping[str, str]
) -> list[str]:
    """Return one phrase per entry of a contract that is not the manifest's; none for a layout that is not installed."""
    expected = _expected(bundle, role)
    return [] if expected is None else _differing(found, expected)


def faults_of_properties(
    content: bytes, expected: Mapping[str, str]
) -> list[str]:
    """Return one phrase per property of an ONNX file that is not the expected one."""
    # A file that is not valid cannot be read further.
    if faults := list(faults_of_onnx(content)):
        return faults
    return _differing(properties_of_onnx(content), expected)


def faults_of_model_info(
    content: bytes, expected: Mapping[str, str]
) -> list[str]:
    """Return one phrase per entry of an IR's `model_info` that is not the expected one, and one for the input's layout."""
    if faults := list(faults_of_ir(content)):
        return faults
    found = metadata_of_ir(content)
    faults = _differing(found.model_info, expected)
    wanted = IR_INPUT_LAYOUT if expected else ""
    if found.input_layout != wanted:
        given = found.input_layout or "none"
        faults.append(f"input layout {given}; expected {wanted or 'none'}")
    return faults


def faults_of_section(
    content: bytes,
    weights: bytes,
    section: str = _MODEL_INFO,
    expected: Mapping[str, str] | None = None,
) -> list[str]:
    """Compare a section of `rt_info` as OpenVINO itself reads it, where it is installed: programs read it there."""
    try:
        found = rt_info_as_read(content, weights, section)
    except ImportError:
        return []
    except RuntimeError as error:
        return [
            f"OpenVINO cannot read it ({' '.join(str(error).split())[:160]})"
        ]
    wrong = _differing(found, expected or {})
    return [f"as OpenVINO reads it: {one}" for one in wrong]


def _expected(bundle: Bundle, role: str) -> dict[str, str] | None:
    """Return the contract of a role's graphs; None for a layout that is not installed."""
    try:
        layout = Frames if role == MODEL else LAYOUTS.get(role)
    except InputError:
        return None
    return entries_of_contract(bundle.manifest, layout.form())


def _differing(
    found: Mapping[str, str], expected: Mapping[str, str]
) -> list[str]:
    """Return a phrase for each entry that is missing, added or of another value."""
    names = {**expected, **found}
    return [
        f"{name[:60]} {found.get(name, 'none')[:60]!r}; expected {expected.get(name, 'none')!r}"
        for name in names
        if found.get(name) != expected.get(name)
    ]
