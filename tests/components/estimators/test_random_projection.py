import numpy as np
import pytest
import sklearn.random_projection as reference
import torch

from anomedge.components import SparseRandomProjection
from anomedge.errors import InputError


@pytest.mark.parametrize("eps", [0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n_samples", [1, 2, 17, 1000, 163840, 10**9])
def test_dimension_is_scikit_learns(n_samples, eps):
    ours = SparseRandomProjection.johnson_lindenstrauss_min_dim(n_samples, eps)
    assert ours == reference.johnson_lindenstrauss_min_dim(n_samples, eps=eps)
    assert isinstance(ours, int)


def drawn(n_features, n_components=2000, seed=0):
    projection = SparseRandomProjection(random_state=seed)
    projection.n_components = n_components
    return projection._sparse_random_matrix(n_features).numpy()


@pytest.mark.parametrize("n_features", [1, 2, 50, 400])
def test_entries_have_the_distribution_of_li_hastie_church(n_features):
    """Values, shares of each sign, mean 0 and variance 1 / k, all within five standard errors; as scikit-learn's."""
    ours = drawn(n_features)
    theirs = reference._sparse_random_matrix(2000, n_features, random_state=0)
    size = np.sqrt(np.sqrt(n_features) / 2000)
    np.testing.assert_allclose(
        np.unique(np.abs(ours[ours != 0])), size, rtol=1e-12
    )
    np.testing.assert_allclose(
        np.unique(np.abs(theirs[theirs.nonzero()])), size, rtol=1e-12
    )
    share = 1 / np.sqrt(n_features) / 2
    error = 5 * np.sqrt(share * (1 - share) / ours.size)
    assert abs((ours > 0).mean() - share) < error
    assert abs((ours < 0).mean() - share) < error
    assert abs((ours**2).mean() * 2000 - 1) < 10 * error / share


def test_rows_are_drawn_apart():
    """A seed given anew to each row, as elsewhere, would put every row's entries into the same columns."""
    support = drawn(400, n_components=50) != 0
    overlap = (support[:1] & support[1:]).sum(axis=1) / support[1:].sum(axis=1)
    assert overlap.mean() < 0.15


def test_distances_are_kept_within_eps():
    x = torch.randn(
        60,
        3000,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    y = SparseRandomProjection(eps=0.5, random_state=0).fit(x).transform(x)
    ratio = (torch.pdist(y) / torch.pdist(x)).square()
    assert 0.5 < ratio.min() <= ratio.max() < 1.5


def test_the_global_random_state_neither_matters_nor_changes():
    x = torch.zeros(20, 30)
    torch.manual_seed(1)
    one = (
        SparseRandomProjection(0.9, random_state=5).fit(x).sparse_random_matrix
    )
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(
        SparseRandomProjection(0.9, random_state=5).fit(x).sparse_random_matrix,
        one,
    )
    torch.manual_seed(1)
    fresh = [
        SparseRandomProjection(0.9).fit(x).sparse_random_matrix
        for _ in range(2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(*fresh)
    assert not torch.equal(
        SparseRandomProjection(0.9, random_state=6).fit(x).sparse_random_matrix,
        one,
    )


def test_loading_brings_the_number_of_components():
    fitted = SparseRandomProjection(0.9, random_state=0).fit(
        torch.zeros(20, 30)
    )
    other = SparseRandomProjection()
    other.load_state_dict(fitted.state_dict())
    assert other.n_components == fitted.n_components == 73


def test_precision_is_the_datas():
    x = torch.zeros(20, 30, dtype=torch.float64)
    projection = SparseRandomProjection(0.9, random_state=0).fit(x)
    assert projection(x).dtype == torch.float64
    assert projection(x.float()).dtype == torch.float32


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SparseRandomProjection(0.0),
        lambda: SparseRandomProjection(1.0),
        lambda: SparseRandomProjection.johnson_lindenstrauss_min_dim(0),
        lambda: SparseRandomProjection.johnson_lindenstrauss_min_dim(
            5, eps=1.0
        ),
        lambda: SparseRandomProjection()._sparse_random_matrix(5),
    ],
)
def test_what_has_no_projection_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
