"""Raw values of anomalib's Torch model in float64: what its float32 and ours are both rounded from.

`NAME.exact.npz` has `scores` (m,) and `maps` (m, H, W) of the pictures that `NAME.npz` has maps of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _import.pictures import listed
from _import.theirs import family_of, prepare


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Write the values."""
    prepare(asked["threads"])
    family = family_of(asked["version"])
    out, name = Path(asked["work"]) / "checkpoints", asked["name"]
    paths = listed(Path(asked["pictures"]))
    chosen = np.load(out / f"{name}.npz")["mapped"].tolist()
    found = family.exact(
        asked, out / f"{name}.ckpt", [paths[number] for number in chosen]
    )
    scores, maps = zip(*found, strict=True)
    np.savez(
        out / f"{name}.exact.npz",
        scores=np.array(scores),
        maps=np.stack(maps).astype(np.float64),
    )
    return {}
