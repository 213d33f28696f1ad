"""Region, tiles and pictures of any size together: fitted, exported and proven."""

import warnings
from dataclasses import replace

import pytest

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import list_pictures, parse_region
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.model import save
from anomedge.resample import Geometry, Tiling
from tests.conftest import FRAME, tiny_options

TILES = Geometry((96, 96), tiling=Tiling((64, 64), 16))
PLAIN = Geometry((64, 72))
CASES = {
    "region of any size": (PLAIN, "0.1,0.2,0.7,0.6", "any"),
    "tiles of any size": (TILES, None, "any"),
    "tiles of a region": (TILES, "0.1,0.2,0.7,0.6", FRAME),
    "tiles of a region of any size": (TILES, "0.1,0.2,0.7,0.6", "any"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_is_proven(case, pictures, tmp_path):
    geometry, region, frame = CASES[case]
    options = replace(
        tiny_options(pictures),
        geometry=geometry,
        roi=None if region is None else parse_region(region),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(fit("padim", pictures / "train", options), tmp_path / "m.st")
        certificate = export(
            tmp_path / "m.st",
            tmp_path / "b.anomedge",
            ExportOptions(
                frame=frame, golden=[pictures / "test"], batches=[1, 2]
            ),
        )
    assert certificate.passed
    bundle = Bundle.open(tmp_path / "b.anomedge")
    assert bundle.manifest.geometry.tiling == geometry.tiling
    assert (bundle.manifest.geometry.region is None) == (region is None)
    with Inspector.open(bundle) as inspector:
        result = inspector.predict(list_pictures(pictures / "test")[0])
    assert result.anomaly_map.shape == geometry.image
