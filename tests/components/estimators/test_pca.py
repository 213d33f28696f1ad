import numpy as np
import pytest
import sklearn.decomposition
import torch

from anomedge.components import PCA
from anomedge.components.estimators import pca as module
from anomedge.errors import InputError


def data(samples=200, features=12, seed=0):
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(samples, features)) @ generator.normal(
        size=(features, features)
    )
    return torch.from_numpy(mixed * np.logspace(0, -3, features) + 5)


@pytest.mark.parametrize("n_components", [1, 3, 7, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("shape", [(200, 12), (8, 12), (12, 12), (9000, 8)])
def test_is_scikit_learns_signs_and_all(n_components, shape):
    """Components, values, mean, number of components, both transforms; also over several blocks of rows."""
    x = data(*shape)
    theirs = sklearn.decomposition.PCA(n_components, svd_solver="full").fit(
        x.numpy()
    )
    ours = PCA(n_components)
    produced = ours.fit_transform(x)
    np.testing.assert_allclose(
        ours.singular_vectors.T, theirs.components_, rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        ours.singular_values, theirs.singular_values_, rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=0, atol=1e-9)
    assert ours.num_components.tolist() == [theirs.n_components_]
    np.testing.assert_allclose(
        produced, theirs.transform(x.numpy()), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        ours.inverse_transform(produced),
        theirs.inverse_transform(produced.numpy()),
        rtol=0,
        atol=1e-9,
    )
    torch.testing.assert_close(ours(x), ours.transform(x), rtol=0, atol=0)


def test_small_singular_values_survive():
    """A covariance of them would be rounding noise: 1e-10 squared is below the precision of 1."""
    generator = np.random.default_rng(0)
    left, _ = np.linalg.qr(generator.normal(size=(500, 4)))
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    right, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    values = np.array([1.0, 1e-3, 1e-7, 1e-10])
    ours = PCA(4)
    ours.fit(torch.from_numpy(left * values @ right.T))
    np.testing.assert_allclose(ours.singular_values, values, rtol=1e-4)


def test_no_array_as_large_as_the_data_is_made(monkeypatch):
    """Blocks go into one triangle: no decomposition sees more than a block and the triangle."""
    seen = []
    qr = torch.linalg.qr
    monkeypatch.setattr(
        module.torch.linalg,
        "qr",
        lambda x, mode: seen.append(tuple(x.shape)) or qr(x, mode=mode),
    )
    PCA(2).fit(torch.randn(20_000, 6))
    assert len(seen) == 5
    assert max(rows for rows, _ in seen) == 4096 + 6


def test_the_callers_tensors_are_not_written_to():
    x = data()
    before = x.clone()
    ours = PCA(3)
    for use in (ours.fit, ours.fit_transform, ours.transform, ours):
        use(x)
        assert torch.equal(x, before)


def test_a_ratio_keeps_columns_in_fit_transform_too():
    x = data()
    assert PCA(0.95).fit_transform(x).shape == (
        200,
        sklearn.decomposition.PCA(0.95).fit(x.numpy()).n_components_,
    )


def test_one_is_one_component_and_one_point_nought_all_of_them():
    assert PCA(1).fit_transform(data()).shape == (200, 1)
    assert PCA(1.0).fit_transform(data()).shape == (200, 12)


def test_state_has_every_fitted_quantity():
    ours = PCA(3)
    ours.fit(data())
    assert list(ours.state_dict()) == [
        "singular_vectors",
        "singular_values",
        "mean",
        "num_components",
    ]


def test_a_state_without_singular_values_loads():
    """anomalib's: its values are no buffer, its count is one number."""
    fitted, other = PCA(3), PCA(3)
    fitted.fit(data())
    state = fitted.state_dict()
    del state["singular_values"]
    holder = torch.nn.ModuleDict({"pca_model": other})
    holder.load_state_dict(
        {f"pca_model.{name}": value for name, value in state.items()}
    )
    assert torch.equal(other(data()), fitted(data()))
    assert torch.isnan(other.singular_values).tolist() == [True] * 3
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})


def test_float32_stays_float32():
    ours = PCA(3)
    assert ours.fit_transform(data().float()).dtype == torch.float32
    assert {value.dtype for value in ours.state_dict().values()} == {
        torch.float32,
        torch.int64,
    }


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: PCA(0), "whole number"),
        (lambda: PCA(-2), "whole number"),
        (lambda: PCA(0.0), "share"),
        (lambda: PCA(1.5), "share"),
        (lambda: PCA("mle"), "share"),
        (lambda: PCA(13).fit(data()), "at most 12"),
        (lambda: PCA(9).fit(data(8, 12)), "at most 8"),
        (lambda: PCA(0.9).fit(torch.ones(5, 3)), "without variance"),
        (
            lambda: PCA(1).fit(torch.ones(5, 3, dtype=torch.int64)),
            "floating point",
        ),
        (lambda: PCA(1).inverse_transform(torch.ones(5, 1)), "before fit"),
    ],
)
def test_what_has_no_components_is_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        wrong()


def test_inverse_takes_as_many_columns_as_there_are_components():
    ours = PCA(3)
    ours.fit(data())
    with pytest.raises(InputError, match=r"expected \(B, 3\)"):
        ours.inverse_transform(torch.zeros(2, 12, dtype=torch.float64))
