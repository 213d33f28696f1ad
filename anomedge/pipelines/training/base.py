"""Contract of a trained detector: networks, the loss of a batch, and an optimiser; the training itself is shared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import Self

from anomedge.pipelines.base import Config, Pipeline
from anomedge.pipelines.data import FitData
from anomedge.pipelines.training.options import TrainOptions
from anomedge.pipelines.training.record import TrainingRecord

__all__ = ["TrainedPipeline"]

TC = TypeVar("TC", bound=Config)
TO = TypeVar("TO", bound=TrainOptions)


class TrainedPipeline(Pipeline[TC, TO]):
    """A detector that is trained in epochs.

    A subclass states `trained`, and defines `create`, `loss` and `optimiser` beside the class attributes, `build_networks`
    and `stages` of every detector. It does not define `fit`. Order of images, augmentations, devices, early stopping,
    progress, stored states and resuming are none of its concern.

    Draw random numbers from torch's global generator only: it is seeded before `create`, and its state is stored with
    each epoch.

    Attributes:
        trained: names of the networks whose parameters are trained; all other networks stay frozen and in evaluation
            mode.
        record: facts of the training, for the model's card; None for a detector that was loaded.
    """

    trained: ClassVar[tuple[str, ...]]

    record: TrainingRecord | None = None

    @classmethod
    @abstractmethod
    def create(cls, data: FitData, options: TO) -> Self:
        """Return the untrained detector: pretrained or random weights, on the CPU.

        Args:
            data: the images to train on; cheap to iterate.
            options: the options.

        Raises:
            InputError: options that do not suit each other or the data.
            ModelError: a network that cannot be used.
        """

    @abstractmethod
    def loss(self, images: Tensor) -> Tensor:
        """Return the mean loss of images (B, 3, H, W) in [0, 1], a scalar with gradients.

        The images are on the device of the networks. Trained networks are in training mode in a step, and in evaluation
        mode when the loss of held-out images is measured.
        """

    @abstractmethod
    def optimiser(self, options: TO) -> Optimizer:
        """Return a new optimiser of `trained_parameters()`."""

    def schedule(
        self, optimiser: Optimizer, options: TO, steps: int
    ) -> LRScheduler | None:
        """Return the schedule of the learning rate, which advances after each step; none by default.

        Args:
            optimiser: the optimiser.
            options: the options.
            steps: number of steps of all epochs.
        """
        del optimiser, options, steps
        return None

    def prepare(self, data: FitData) -> None:
        """Compute buffers that the loss needs, before the first epoch; nothing by default.

        Args:
            data: the images to train on.
        """
        del data

    def finish(self, data: FitData) -> None:
        """Compute buffers that the stages need, after the last epoch; nothing by default.

        Args:
            data: the held-out images if there are some (`--patience`), else those that were trained on.
        """
        del data

    def inputs(self) -> dict[str, str]:
        """Return texts that identify further data of the training, such as a digest, by the option that names them.

        They are asked for before the first epoch. A resumed training must have them alike, and the model's card states
        them.
        """
        return {}

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the trained networks."""
        networks = [self.get_submodule(name) for name in self.trained]
        return [each for network in networks for each in network.parameters()]

    @classmethod
    def fit(cls, data: FitData, options: TO) -> Self:
        """Train a detector; equal data, options and seed give equal tensors on one machine.

        Raises:
            InputError: options that do not suit each other or the data, or a stored training of other ones.
            ModelError: a network that cannot be used, a loss that is not finite, or a damaged stored training.
            RuntimeMissing: Lightning is not installed.
        """
        from anomedge.pipelines.training.run import train

        return train(cls, data, options)

    @classmethod
    def fit_folds(
        cls, data: FitData, options: TO, folds: Sequence[Sequence[int]]
    ) -> Iterator[Self]:
        """Train once per fold, then with all images; each training has a stored state of its own."""
        for number in range(len(folds)):
            part = data.without_fold(folds, number)
            if data.state is not None:
                name = f"fold-{number + 1}{data.state.suffix}"
                part = replace(part, state=data.state.with_name(name))
            yield cls.fit(part, options).eval()
        yield cls.fit(data, options).eval()
