"""Golden frames: pictures in the bundle with the outputs of eager Torch."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomedge.bundle import Bundle, Golden, Manifest
from anomedge.errors import BundleError
from anomedge.generated import Generated
from anomedge.images import Picture
from anomedge.parity.outputs import Outputs
from anomedge.parity.pictures import BLENDED, EXTREME, SYNTHETIC
from anomedge.parity.reference import GOLDEN, GoldenOutputs, Reference
from anomedge.resample import LARGEST_SIDE
from anomedge.resample.outside_resize import Framing, stated_size
from anomedge.runtimes import Tensors

__all__ = [
    "golden_files",
    "golden_outputs",
    "places_to_keep",
    "places_with_stages",
    "read_golden",
    "write_golden",
]

_FOLDER = "golden"
_SCORES, _MAPS = f"{_FOLDER}/score.npy", f"{_FOLDER}/anomaly_map.npy"
_FILES = {"score": _SCORES, "anomaly_map": _MAPS}
_OWN, _EACH_KIND = 6, 4
_BY_NAME: dict[str, Generated] = {
    how: how for how in (BLENDED, EXTREME, SYNTHETIC)
}
_HEADER_LIMIT = 4096
"""Largest header of an array file, in bytes; NumPy writes 128."""
_WIDEST = 8  # bytes of a float64
_MOST_OF_MAPS, _MOST_OF_STAGES = 2 << 30, 8 << 30
_STAGES_BASE, _STAGES_A_PIXEL = 64 << 20, 4 << 10
"""Bound of all stage arrays together, in bytes: a base and a share for each pixel that the detector sees."""


def places_to_keep(pictures: Sequence[Picture]) -> list[int]:
    """Return the indices of the pictures to keep.

    Up to six of the user's, evenly spread, then up to four blends and four
    extreme frames.
    """
    own, blended, extreme = [], [], []
    for place, picture in enumerate(pictures):
        if picture.generated == BLENDED:
            blended.append(place)
        elif picture.generated == EXTREME:
            extreme.append(place)
        elif picture.generated in (None, SYNTHETIC):
            own.append(place)
    positions = np.linspace(0, len(own) - 1, min(_OWN, len(own)))
    spread = sorted({own[round(position)] for position in positions})
    return spread + blended[:_EACH_KIND] + extreme[:_EACH_KIND]


def places_with_stages(pictures: Sequence[Picture]) -> list[int]:
    """Return the indices of the pictures to keep with all their stages.

    They are the first two kept pictures and the last, an extreme one.
    """
    places = places_to_keep(pictures)
    return sorted({*places[:2], places[-1]})


def write_golden(
    root: Path, reference: Reference, frame: Framing
) -> list[Golden]:
    """Write golden frames and their reference outputs; return their entries.

    Where pictures may have any size, they are kept in their own, so that the device's resize is part of its proof.
    """
    (root / _FOLDER).mkdir()
    places = places_to_keep(reference.pictures)
    entries = []
    for number, place in enumerate(places):
        picture = reference.pictures[place]
        name = _frame_file(number)
        Image.fromarray(picture.frame(stated_size(frame))).save(root / name)
        stages = reference.stages.get(place)
        if stages:
            _write_stages(root, number, stages)
        entries.append(
            Golden(
                name=picture.name,
                frame=name,
                anomalous=picture.anomalous,
                stages=bool(stages),
                generated=picture.generated,
            )
        )
    kept = reference.outputs.at(places)
    np.save(root / _SCORES, kept.score)
    if kept.anomaly_map is not None:
        np.save(root / _MAPS, kept.anomaly_map)
    return entries


def golden_files(manifest: Manifest) -> set[str]:
    """Return the files that the golden frames of a bundle may have: pictures, outputs, and stages of those with some."""
    if not manifest.golden:
        return set()
    files = {_FILES[output.name] for output in manifest.outputs}
    for number, entry in enumerate(manifest.golden):
        files.add(_frame_file(number))
        if entry.stages:
            names = (*manifest.stages, "rounded")
            files |= {_stage_file(number, name) for name in names}
    return files


def golden_outputs(bundle: Bundle, reference: Reference) -> GoldenOutputs:
    """Return the outputs of the golden frames that were made from a reference, and those that the bundle stores."""
    places = places_to_keep(reference.pictures)
    eager = Reference(
        reference.source,
        [reference.pictures[place] for place in places],
        reference.outputs.at(places),
        {
            number: reference.stages[place]
            for number, place in enumerate(places)
            if place in reference.stages
        },
    )
    return GoldenOutputs(eager, read_golden(bundle))


def read_golden(bundle: Bundle) -> Reference:
    """Read the golden frames as the reference of a proof.

    Raises:
        BundleError: there are none, or an array differs from the manifest.
    """
    entries = bundle.manifest.golden
    if not entries:
        raise BundleError(
            f"{bundle.path} carries no golden frame; expected some: export it again, or give --model"
        )
    _check_sizes(bundle)
    pictures = [
        _picture(bundle, entry, how)
        for entry, how in zip(entries, _marks(entries), strict=True)
    ]
    arrays = {}
    for output in bundle.manifest.outputs:
        name, promised = output.name, (len(entries), *output.shape)
        array = arrays[name] = _array(bundle, _FILES[name])
        if array.shape != promised or not np.isfinite(array).all():
            raise BundleError(
                f"{bundle.path}: got golden {name} {array.shape}; expected finite {promised}: export again"
            )
    stages = {
        i: _read_stages(bundle, i)
        for i, entry in enumerate(entries)
        if entry.stages
    }
    return Reference(GOLDEN, pictures, Outputs.of(arrays), stages)


def _check_sizes(bundle: Bundle) -> None:
    """Refuse golden files that are larger than any export writes.

    The sizes are the manifest's; no file is read.
    """
    manifest = bundle.manifest
    image = math.prod(manifest.geometry.image)
    frame = math.prod(
        stated_size(manifest.framing) or (LARGEST_SIDE, LARGEST_SIDE)
    )
    # Pixels without compression, and 1 MiB for the PNG format.
    bounds = {entry.frame: (1 << 20) + 4 * frame for entry in manifest.golden}
    for name, values in {_SCORES: 1, _MAPS: image}.items():
        bounds[name] = min(
            _HEADER_LIMIT + len(manifest.golden) * values * _WIDEST,
            _MOST_OF_MAPS,
        )
    for name, most in bounds.items():
        if name in manifest.files:
            _refuse_larger(bundle.file(name), manifest.files[name].bytes, most)
    stages = [
        name
        for name in manifest.files
        if name.startswith(f"{_FOLDER}/") and name not in bounds
    ]
    total = sum(manifest.files[name].bytes for name in stages)
    _refuse_larger(
        bundle.path / _FOLDER,
        total,
        min(
            _STAGES_BASE + _STAGES_A_PIXEL * manifest.geometry.pixels_seen,
            _MOST_OF_STAGES,
        ),
    )


def _refuse_larger(path: Path, size: int, most: int) -> None:
    if size > most:
        raise BundleError(
            f"{path}: got {size} bytes; expected at most {most}: export the bundle again"
        )


def _marks(entries: Sequence[Golden]) -> list[Generated | None]:
    """Return how each golden frame was made.

    Every export keeps an extreme frame, so a bundle without any mark is one of an earlier release, which told by names.
    """
    marks = [entry.generated for entry in entries]
    if any(marks):
        return [*marks]
    return [_BY_NAME.get(entry.name.partition("/")[0]) for entry in entries]


def _picture(
    bundle: Bundle, entry: Golden, generated: Generated | None
) -> Picture:
    """Return a golden frame as a picture that is read and hashed on use."""
    path = bundle.file(entry.frame)
    return Picture(
        entry.name,
        path=path,
        anomalous=entry.anomalous,
        read=partial(bundle.read, entry.frame),
        generated=generated,
    )


def _frame_file(number: int) -> str:
    return f"{_FOLDER}/{number:03d}.png"


def _stage_file(number: int, name: str) -> str:
    return f"{_FOLDER}/{number:03d}/{name.replace('/', '-')}.npy"


def _write_stages(root: Path, number: int, stages: Tensors) -> None:
    (root / f"{_FOLDER}/{number:03d}").mkdir()
    for name, array in stages.items():
        np.save(root / _stage_file(number, name), array)


def _read_stages(bundle: Bundle, number: int) -> Tensors:
    names = [*bundle.manifest.stages, "rounded"]
    listed = bundle.manifest.files
    return {
        n: _array(bundle, _stage_file(number, n))
        for n in names
        if _stage_file(number, n) in listed
    }


def _array(bundle: Bundle, name: str) -> npt.NDArray[np.floating]:
    """Read a float array of the bundle; check its header before allocating."""
    path, content = bundle.file(name), bundle.read(name)
    file = io.BytesIO(content)
    try:
        major, _ = np.lib.format.read_magic(file)
        read_header = {
            1: np.lib.format.read_array_header_1_0,
            2: np.lib.format.read_array_header_2_0,
        }[major]
        shape, fortran, dtype = read_header(file)
        start = file.tell()
    except Exception as error:  # the header is parsed as an expression
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise BundleError(
            f"{path} is no plain array ({reason}); export the bundle again"
        ) from error
    if dtype not in (np.dtype("<f4"), np.dtype("<f8")) or fortran:
        raise BundleError(
            f"{path}: got {str(dtype)[:200]}; expected float32 or float64 in C order: export again"
        )
    if (
        any(type(n) is not int or n < 0 for n in shape)
        or len(content) != start + math.prod(shape) * dtype.itemsize
    ):
        raise BundleError(
            f"{path}: got a header of another size than the file; export the bundle again"
        )
    return (
        np.frombuffer(content, dtype=dtype, offset=start).reshape(shape)
        if math.prod(shape)
        else np.empty(shape)
    )
