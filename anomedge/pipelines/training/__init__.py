"""Training of detectors: options, batches, state, and the loop on Lightning."""

from anomedge.pipelines.training.base import TrainedPipeline
from anomedge.pipelines.training.options import TrainOptions

__all__ = ["TrainOptions", "TrainedPipeline"]
