"""anomedge's training from given weights, with given pictures in each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from _detectors.cases import Case
from _same_start.theirs import Orders
from torch import Tensor

from anomedge import pipelines
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import save
from anomedge.pipelines.splitting import Split
from anomedge.pipelines.training import TrainedPipeline, run
from anomedge.pipelines.training.images import StoredImages
from anomedge.resample import Geometry


def options_of(
    case: Case, weights: Path, batch: int, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the detector's options, which the command line has as text."""
    given = iter(case.options())
    own = {flag.removeprefix("--"): next(given) for flag in given}
    return own | {
        "weights": weights,
        "epochs": asked["epochs"],
        "train_batch": batch,
        "device": "cpu",
    }


class _Replayed:
    """Steps of each epoch with given pictures, in place of `ShuffledBatches`.

    Args:
        orders: names of pictures by epoch and step.
        places: place of each picture by name.
        images: the stored images.
        exact: images by name, in place of the stored ones, in float64.
        epoch: returns the number of finished epochs.
    """

    def __init__(
        self,
        orders: Orders,
        places: Mapping[str, int],
        images: StoredImages,
        exact: Mapping[str, Tensor] | None,
        epoch: Callable[[], int],
    ) -> None:
        self.orders, self.places = orders, places
        self.images, self.exact, self.epoch = images, exact, epoch

    def __len__(self) -> int:
        return len(self.orders[0])

    def __iter__(self) -> Iterator[Tensor]:
        for names in self.orders[self.epoch()]:
            if self.exact is None:
                yield self.images.at([self.places[name] for name in names])
            else:
                yield torch.stack([self.exact[n] for n in names]).double()


def train(
    case: Case,
    pictures: Path,
    path: Path,
    own: Mapping[str, Any],
    start: Mapping[str, Tensor],
    orders: Orders,
    size: int,
    exact: Mapping[str, Tensor] | None,
) -> list[float]:
    """Train, and write the model; return the losses of all steps.

    Args:
        case: the detector.
        pictures: staged pictures.
        path: model file to write.
        own: options of the detector.
        start: state_dict of the untrained detector.
        orders: names of pictures by epoch and step.
        size: side of the images.
        exact: scaled image (3, H, W) of each picture, to train in float64; None: read the pictures, and train in float32.
    """
    places: dict[str, int] = {}
    losses: list[float] = []

    def placed(split: Split) -> None:
        names = [Path(picture.path).name for picture in split.fitted]
        places.update({name: place for place, name in enumerate(names)})

    def replayed(images: StoredImages, *rest: Any) -> _Replayed:
        return _Replayed(orders, places, images, exact, rest[-1])

    options = FitOptions(
        Geometry((size, size)),
        held_back=pictures / "held-back",
        detector=own,
    )
    kind = pipelines.get(case.detector)
    order = mock.patch.object(run, "ShuffledBatches", replayed)
    with _started(kind, start, losses, double=exact is not None), order:
        model = fit(case.detector, pictures / "good", options, placed)
    save(model, path, force=True)
    return losses


@contextmanager
def _started(
    kind: type[TrainedPipeline[Any, Any]],
    start: Mapping[str, Tensor],
    losses: list[float],
    *,
    double: bool,
) -> Iterator[None]:
    """Let a detector begin with given tensors, and store the losses of its steps."""
    create, loss, finish = kind.create, kind.loss, kind.finish

    def created(data: Any, options: Any) -> Any:
        pipeline = create(data, options)
        pipeline.load_state_dict(start)
        if double:
            torch.set_default_dtype(torch.float64)
            pipeline.double().scaled = _unchanged
        return pipeline

    def noted(pipeline: Any, images: Tensor) -> Tensor:
        found: Tensor = loss(pipeline, images)
        losses.append(float(found.detach()))
        return found

    def finished(pipeline: Any, data: Any) -> None:
        torch.set_default_dtype(torch.float32)
        pipeline.__dict__.pop("scaled", None)
        finish(pipeline.float(), data)

    patches = {"create": created, "loss": noted, "finish": finished}
    with ExitStack() as stack:
        for name, replacement in patches.items():
            patch = mock.patch.object(kind, name, replacement)
            stack.enter_context(patch)
        stack.callback(torch.set_default_dtype, torch.float32)
        yield


def _unchanged(images: Tensor) -> Tensor:
    return images
