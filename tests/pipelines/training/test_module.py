"""Losses of an epoch, and the modes of the networks."""

import torch

from anomedge.pipelines import Config
from anomedge.pipelines.training.module import TrainingModule, _MeanLoss
from tests.pipelines.training.detectors import SIZE, Mean, images


def test_the_mean_counts_images_and_not_batches():
    losses = _MeanLoss()
    losses.add(torch.tensor(1.0), 3)
    losses.add(torch.tensor(5.0), 1)
    assert losses.count == 4
    assert losses.mean() == 2.0


def test_only_trained_networks_are_in_training_mode():
    config = Config(size=SIZE)
    module = TrainingModule(Mean(config, **Mean.build_networks(config)))
    module.on_train_epoch_start()
    assert module.model.learner.training
    assert not module.model.frozen.training
    module.on_validation_epoch_start()
    assert not module.model.learner.training


def test_a_step_adds_its_loss():
    config = Config(size=SIZE)
    module = TrainingModule(Mean(config, **Mean.build_networks(config)))
    module.on_train_epoch_start()
    loss = module.training_step(images(3), 0)
    assert module._losses.mean() == float(loss.detach().double())
    assert module._losses.count == 3
