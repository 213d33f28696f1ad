"""Models with random statistics, and their written graphs."""

from pathlib import Path

import torch

from anomedge import pipelines
from anomedge.components import FeatureExtractor
from anomedge.components.features import layers_at_strides
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_onnx
from anomedge.pipelines.model import Card, Model
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin

TOLERANCE = 0.15


def random_model(detector: str, backbone: str, size: int, count: int) -> Model:
    """Filled, not fitted: `count` bank vectors, or channels with triangular statistics."""
    kind = pipelines.get(detector)
    generator = torch.Generator().manual_seed(0)
    extractor = FeatureExtractor(
        backbone,
        layers_at_strides(backbone, kind.default_strides),
        pre_trained=False,
    )
    if detector == "patchcore":
        config = kind.config_class.of(extractor, (size, size), n_vectors=count)
        pipeline = kind(config, extractor).eval()
        for buffer in pipeline.bank.buffers():
            if buffer.is_floating_point():
                buffer.normal_(generator=generator)
    else:
        total = sum(extractor.channels)
        channels = tuple(i * total // count for i in range(count))
        config = kind.config_class.of(
            extractor, (size, size), channels=channels
        )
        pipeline = kind(config, extractor).eval()
        patches = pipeline.gaussian.mean.shape[1]
        whitening = (
            torch.eye(count)
            + 0.01 * torch.randn(count, count, generator=generator).tril()
        )
        inverse = (whitening.T @ whitening).expand(patches, count, count)
        state = {"mean": torch.zeros(count, patches), "inv_covariance": inverse}
        pipeline.gaussian.load_state_dict(state)
    origin = Origin(
        rule="f1",
        source="nothing",
        normal=2,
        anomalous=1,
        margin=0.1,
        extrapolated=False,
        pictures="0" * 64,
    )
    decision = Decision(
        threshold=1,
        pixel_threshold=1,
        minimum=0,
        maximum=2,
        scale=1,
        origin=origin,
    )
    card = Card(
        seed=0, fitted=("0" * 64,) * 200, weights="random", tools={}, licence={}
    )
    return Model(pipeline, Geometry((size, size)), decision, card)


def written(model: Model, frame: tuple[int, int], folder: Path) -> Path:
    graph, _ = graph_from_model(model, frame, None, 17)
    keep_shipped_outputs(graph)
    path = folder / "model.onnx"
    write_onnx(graph, path)
    return path
