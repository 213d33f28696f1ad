"""A detector that trains in milliseconds, with every part that a trained detector may have."""

import torch
from torch import nn

from anomedge.pipelines import Config, FitData
from anomedge.pipelines.training import TrainedPipeline, TrainOptions

SIZE = (8, 10)


class Mean(TrainedPipeline):
    """Distance to a learned projection of learned random features; draws random numbers in its loss."""

    name = "mean-test"
    config_class = Config
    options_class = TrainOptions
    networks = ("frozen", "learner")
    trained = ("learner",)

    def __init__(self, config, frozen, learner):
        super().__init__(config, frozen=frozen, learner=learner)
        self.register_buffer("prepared", torch.zeros(()))
        self.register_buffer("finished", torch.zeros(()))

    @classmethod
    def build_networks(cls, config, backbone=None):
        del config, backbone
        learner = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.1)
        )
        return {"frozen": nn.Conv2d(3, 4, 3), "learner": learner}

    @classmethod
    def create(cls, data, options):
        del options
        config = Config(size=data.size)
        return cls(config, **cls.build_networks(config))

    def optimiser(self, options):
        return torch.optim.AdamW(
            self.trained_parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )

    def schedule(self, optimiser, options, steps):
        del options
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    def prepare(self, data):
        self.prepared.fill_(sum(len(images) for images in data))

    def finish(self, data):
        self.finished.fill_(sum(len(images) for images in data))

    def distances(self, images):
        offset = self.frozen(images) - self.learner(images)
        return offset.square().mean(dim=1, keepdim=True)

    def loss(self, images):
        noise = 0.01 * torch.randn_like(images)
        return self.distances(images + noise).mean()

    def stages(self, images):
        anomaly_map = self.distances(images)
        return {
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }


def images(count=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *SIZE, generator=generator)


def trained(state=None, count=7, seed=0, pictures=0, kind=Mean, **options):
    data = FitData(
        images(count, pictures).split(3), size=SIZE, seed=seed, state=state
    )
    given = {"epochs": 4, "train_batch": 3, "device": "cpu"} | options
    return kind.fit(data, kind.options_class.checked(**given))


def same_tensors(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    return all(torch.equal(ours[name], theirs[name]) for name in ours)
