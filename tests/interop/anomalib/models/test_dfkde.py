import torch

from anomedge.interop.anomalib.models.dfkde import Density


def test_density_is_the_mean_of_the_kernels():
    generator = torch.Generator().manual_seed(1)
    density = Density()
    density.bw_transform = torch.randn(3, 3, generator=generator)
    density.dataset = torch.randn(7, 3, generator=generator)
    density.norm = torch.tensor(0.25)
    features = torch.randn(4, 3, generator=generator)
    expected = [
        (torch.exp(-((density.dataset - x @ density.bw_transform) ** 2).sum(1) / 2) * 0.25).mean()
        for x in features
    ]  # fmt: skip
    torch.testing.assert_close(density(features), torch.stack(expected))
