import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde

from anomedge.components import GaussianKDE
from anomedge.errors import InputError


def data(samples=80, features=3, seed=0, centre=0.0):
    generator = np.random.default_rng(seed)
    return torch.from_numpy(
        generator.normal(size=(samples, features))
        @ generator.normal(size=(features, features))
        + centre
    )


@pytest.mark.parametrize("features", [1, 2, 16])
@pytest.mark.parametrize("centre", [0.0, 300.0])
def test_is_scipys(features, centre):
    """Data far from the origin: what is stored and what is asked are centred alike."""
    x = data(features=features, centre=centre)
    query = data(samples=20, features=features, seed=1, centre=centre)
    theirs = gaussian_kde(x.numpy().T)
    ours = GaussianKDE(x)
    np.testing.assert_allclose(
        ours.log_density(query),
        theirs.logpdf(query.numpy().T),
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        ours(query), theirs.evaluate(query.numpy().T), rtol=1e-9, atol=1e-9
    )


def test_a_density_integrates_to_one():
    kde = GaussianKDE(data(features=1))
    grid = torch.linspace(-20, 20, 20001, dtype=torch.float64)
    assert float(torch.trapezoid(kde(grid[:, None]), grid)) == pytest.approx(
        1, abs=1e-9
    )


def test_given_to_the_constructor_or_to_fit_is_the_same():
    x = data()
    fitted = GaussianKDE()
    fitted.fit(x)
    assert torch.equal(GaussianKDE(dataset=x)(x), fitted(x))


def test_the_callers_tensor_is_not_written_to():
    x = data(centre=7.0)
    before = x.clone()
    kde = GaussianKDE(x)
    kde(x)
    GaussianKDE.cov(x.T)
    assert torch.equal(x, before)


@pytest.mark.parametrize("distance", [10.0, 1e3, 1e6])
def test_no_logarithm_of_zero_far_away(distance):
    """In float32 the density itself is 0 here; its logarithm is a number, and the right one."""
    x = data().float()
    query = x[:1] + distance
    kde = GaussianKDE(x)
    exact = float(GaussianKDE(x.double()).log_density(query.double()))
    if distance > 10:
        assert float(kde(query)) == 0
    assert float(kde.log_density(query)) == pytest.approx(exact, rel=1e-5)


def test_no_logarithm_of_zero_in_many_dimensions():
    """The factor (2 pi)^(-d/2) alone is 0 in float32 from 96 features on."""
    x = data(samples=700, features=200).float()
    kde = GaussianKDE(x)
    query = x.double().numpy()[:5]
    theirs = gaussian_kde(x.double().numpy().T).logpdf(query.T)
    np.testing.assert_allclose(kde.log_density(x[:5]), theirs, rtol=1e-4)
    assert torch.isfinite(kde.log_norm)


def test_anomalibs_state_loads_and_scores_as_there():
    """Samples centred, queries not, no mean stored: on centred data the two agree."""
    x = data()
    centred = x - x.mean(dim=0)
    bandwidth = torch.linalg.cholesky(
        torch.linalg.inv(torch.cov(centred.T)) / len(x) ** (-2 / 7)
    )
    norm = torch.prod(torch.diag(bandwidth)) * (2 * np.pi) ** (-3 / 2)
    state = {
        "bw_transform": bandwidth,
        "dataset": centred @ bandwidth,
        "norm": norm,
    }
    holder = torch.nn.ModuleDict({"kde_model": GaussianKDE()})
    holder.load_state_dict(
        {f"kde_model.{name}": value for name, value in state.items()}
    )
    expected = gaussian_kde(centred.numpy().T).logpdf(centred.numpy().T)
    np.testing.assert_allclose(
        holder["kde_model"].log_density(centred), expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("bias", [False, True])
def test_cov_is_numpys(bias):
    for x in (data(centre=5.0).T, data(features=1).T):
        ours = GaussianKDE.cov(x, bias=bias)
        assert ours.shape == (len(x), len(x))
        np.testing.assert_allclose(
            ours, np.atleast_2d(np.cov(x, bias=bias)), rtol=0, atol=1e-12
        )


def test_one_graph_serves_every_batch():
    """No loop over the batch: the number of operations does not depend on it."""
    kde = GaussianKDE(data())
    counts = {
        n: len(
            torch.export.export(
                kde, (data(samples=n),), strict=True
            ).graph.nodes
        )
        for n in (2, 50)
    }
    assert counts[2] == counts[50]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GaussianKDE(torch.ones(10, 2)),
        lambda: GaussianKDE(data(samples=3, features=3)),
        lambda: GaussianKDE(torch.cat([data(), data()[:, :1]], dim=1)),
        lambda: GaussianKDE(
            torch.cat([data(), torch.full((80, 1), 3.0)], dim=1)
        ),
        lambda: GaussianKDE.cov(torch.zeros(3)),
        lambda: GaussianKDE.cov(torch.zeros(3, 1)),
    ],
)
def test_what_has_no_bandwidth_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
