"""Write tiny data sets in the layouts that people have."""

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 128)


def photo(path: Path, size=SIZE) -> Path:
    """A colour picture of noise that depends on its path's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(zlib.crc32(str(path).encode()))
    pixels = generator.integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(path: Path, marked=True, level=255, size=SIZE) -> Path:
    """A mask; `level` is the grey level of its anomalous pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8)
    if marked:
        pixels[10:30, 20:50] = level
    Image.fromarray(pixels).save(path)
    return path


def mvtec(root: Path, normal=4) -> Path:
    return split(root, "good/{}.png", "scratch/{}.png", "_mask", normal)


def btad(root: Path, normal=4) -> Path:
    return split(root, "ok/{:04}.bmp", "ko/{:04}.bmp", "", normal)


def split(root: Path, good: str, bad: str, ending: str, normal: int) -> Path:
    """Write `train`, `test` and `ground_truth`; names are patterns of a number, masks end in `ending` and `.png`."""
    for i in range(normal):
        photo(root / "train" / good.format(i))
    for i in range(2):
        photo(root / "test" / good.format(i))
        path = photo(root / "test" / bad.format(i))
        truth = root / "ground_truth" / path.parent.name
        mask(truth / f"{path.stem}{ending}.png")
    return root


def kolektor(root: Path, normal=4) -> Path:
    for i in range(normal + 2):
        photo(root / f"kos{i:02}/Part0.jpg")
        mask(root / f"kos{i:02}/Part0_label.bmp", marked=i < 2)
    return root


def magnetic_tile(root: Path, normal=4) -> Path:
    for i in range(normal):
        photo(root / f"MT_Free/Imgs/exp{i}.jpg")
        mask(root / f"MT_Free/Imgs/exp{i}.png", marked=False)
    for kind in ("Blowhole", "Crack"):
        photo(root / f"MT_{kind}/Imgs/exp0.jpg")
        mask(root / f"MT_{kind}/Imgs/exp0.png")
    return root


def two_labels(root: Path, good: str, bad: str, normal=4) -> Path:
    for i in range(normal):
        photo(root / good / f"{i}.png")
    for i in range(2):
        photo(root / bad / f"{i}.png")
    return root


def visa(root: Path, objects=("candle", "pcb1"), normal=4) -> Path:
    """Write all objects; return the folder of the first."""
    lines = ["object,split,label,image,mask"]
    for name in objects:
        images = f"{name}/Data/Images"
        for i in range(normal + 2):
            photo(root / images / f"Normal/{i:04}.JPG")
            split = "train" if i < normal else "test"
            lines.append(f"{name},{split},normal,{images}/Normal/{i:04}.JPG,")
        for i in range(2):
            photo(root / images / f"Anomaly/{i:03}.JPG")
            # Masks number the kinds of defects.
            truth = f"{name}/Data/Masks/Anomaly/{i:03}.png"
            mask(root / truth, level=i + 1)
            lines.append(
                f"{name},test,anomaly,{images}/Anomaly/{i:03}.JPG,{truth}"
            )
    (root / "split_csv").mkdir()
    (root / "split_csv/1cls.csv").write_text("\n".join(lines) + "\n")
    return root / objects[0]


def listed(root: Path, suffix=".csv", normal=4) -> Path:
    """Write pictures and a list of them; return the list."""
    rows = []
    for i in range(normal + 2):
        photo(root / f"pictures/{i}.png")
        split = "train" if i < normal else "test"
        rows.append((f"pictures/{i}.png", "good", "", split))
    for i in range(2):
        photo(root / f"pictures/bad{i}.png")
        mask(root / f"masks/bad{i}.png")
        rows.append(
            (f"pictures/bad{i}.png", "dent", f"masks/bad{i}.png", "test")
        )
    path = root / f"parts{suffix}"
    names = ("path", "label", "mask", "split")
    if suffix == ".json":
        items = [dict(zip(names, row, strict=True)) for row in rows]
        path.write_text(json.dumps(items))
    else:
        lines = [",".join(row) for row in [names, *rows]]
        path.write_text("\n".join(lines))
    return path


LAYOUTS = {
    "mvtec": lambda root: mvtec(root),
    "btad": lambda root: btad(root),
    "kolektor": lambda root: kolektor(root),
    "magnetic-tile": lambda root: magnetic_tile(root),
    "01": lambda root: two_labels(root, "0", "1"),
    "ok-ng": lambda root: two_labels(root, "ok", "NG"),
    "good-bad": lambda root: two_labels(root, "good", "bad"),
    "visa": lambda root: visa(root),
    "csv": lambda root: listed(root),
    "json": lambda root: listed(root, ".json"),
}
"""Writers of data sets with four normal pictures to fit to and two anomalous ones; each returns the path to give."""
