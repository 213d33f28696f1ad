"""Imported detectors beside the formulas."""

import torch

from anomedge.interop.anomalib import read_foreign
from tests.interop.anomalib import builder, formulas


def taken_from(imported, what):
    return [line.source for line in imported.taken if line.what == what]


def images_of(size, count=3):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, 3, *size, generator=generator)


def errors_of(pipeline, path, size):
    """Largest differences of score and map from the formula, over their ranges."""
    images = images_of(size)
    with read_foreign(path) as foreign:
        state = {name: x.load() for name, x in foreign.tensors.items()}
        config = foreign.arguments

    def maps(*prefix):
        return formulas.features(
            state, config["layers"], images, builder.MEAN, builder.STD, *prefix
        )

    if pipeline.name == "stfpm":
        both = [
            maps(f"{owner}.feature_extractor.")
            for owner in builder.NETWORKS["stfpm"]
        ]
        score, anomaly_map = formulas.stfpm(*both, size)
    else:
        formula = getattr(formulas, pipeline.name)
        score, anomaly_map = formula(state, maps(), size)
    with torch.no_grad():
        own = pipeline(images)
    spread = score.max() - score.min()
    reach = anomaly_map.max() - anomaly_map.min()
    return (
        float((own.score - score).abs().max() / spread),
        float((own.anomaly_map - anomaly_map).abs().max() / reach),
    )
