"""A detector of one small network: the score is the largest distance of features to their mean."""

import torch
from torch import nn

from anomedge.pipelines import Config, Options, Pipeline


class Brightness(Pipeline[Config, Options]):
    """Features are the network's; the map is absent where `has_map` is false."""

    name = "brightness"
    config_class = Config
    options_class = Options
    networks = ("net",)
    has_map = True

    def __init__(self, config, net):
        super().__init__(config, net=net)
        self.register_buffer("centre", torch.zeros(1))

    @classmethod
    def build_networks(cls, config, backbone=None):
        del config, backbone
        return {"net": nn.Conv2d(3, 1, 1)}

    @classmethod
    def fit(cls, data, options):
        del options
        detector = cls(Config(size=data.size), net=mean_of_channels())
        images = torch.cat(list(data))
        detector.centre.fill_(float(images.mean()))
        return detector

    def stages(self, images):
        features = self.net(images)
        distances = (features - self.centre).abs()
        score = distances.amax(dim=(1, 2, 3))
        found = {"features/net": features}
        if self.has_map:
            found["anomaly_map"] = distances
        return found | {"score": score}


class WithoutMap(Brightness):
    """The same detector without a map."""

    has_map = False


def mean_of_channels():
    net = nn.Conv2d(3, 1, 1, bias=False)
    nn.init.constant_(net.weight, 1 / 3)
    return net


def images(*values):
    """Images of one grey level each."""
    column = torch.tensor(values).reshape(-1, 1, 1, 1)
    return column.expand(len(values), 3, 8, 8).clone()


def detector(kind=Brightness):
    return kind(Config(size=(8, 8)), net=mean_of_channels())
