"""Lower bounds hold for every patch and vector, and what is proven is found."""

import numpy as np
import onnx
import pytest
import torch

from anomedge import runtimes
from anomedge.components import LinearResample2d, MemoryBank
from anomedge.components.estimators.int8_search import Int8Search
from anomedge.errors import InputError
from anomedge.export.translations import TRANSLATIONS
from anomedge.resample import bilinear
from tests.conftest import RUNTIMES

GRIDS, WIDTHS = ((6, 4), (3, 2)), (24, 40)
KINDS = (
    "random",
    "zero",
    "constant",
    "huge",
    "tiny",
    "one value",
    "members",
    "between",
)


def upsample():
    return LinearResample2d(
        *(bilinear(a, b) for a, b in zip(GRIDS[1], GRIDS[0], strict=True))
    )


def filled(n, candidates=8, limit=127, spread=1.0):
    generator = torch.Generator().manual_seed(n)
    vectors = torch.randn(n, sum(WIDTHS), generator=generator) * spread
    vectors[n // 2 :, 0] += 30  # of one level, so scales differ
    bank = MemoryBank(n, WIDTHS, 3, upsample=[None, upsample()])
    bank.fill(vectors + 5)
    return bank, bank.with_int8_search(candidates, limit)


def levels_of(kind, bank):
    generator = torch.Generator().manual_seed(1)
    shapes = [(2, w, *grid) for w, grid in zip(WIDTHS, GRIDS, strict=True)]
    random = [torch.randn(shape, generator=generator) for shape in shapes]
    centre = [
        part.reshape(1, -1, 1, 1) for part in bank.centre.split(list(WIDTHS))
    ]
    if kind in {"members", "between"}:
        # Every patch of a level has the value of one member, or the mean of two.
        rows = bank.vectors[:1] if kind == "members" else bank.vectors[:2]
        parts = (rows.mean(dim=0) + bank.centre).split(list(WIDTHS))
        return [
            part.reshape(1, -1, 1, 1).expand(shape)
            for part, shape in zip(parts, shapes, strict=True)
        ]
    if kind == "one value":
        hot = [torch.zeros(shape) for shape in shapes]
        for level in hot:
            level[:, 3] = 7
        return hot
    factor = {"random": 1, "huge": 1e5, "tiny": 1e-8}.get(kind, 0)
    offset = 9 if kind == "constant" else 0
    return [
        c + factor * x + offset for c, x in zip(centre, random, strict=True)
    ]


def exact_half_squares(bank, levels):
    """T_j of each patch in float64, (B P, N), and |y|^2."""
    own = []
    for step, centre, x in zip(
        bank.upsample, bank.centre.split(list(WIDTHS)), levels, strict=True
    ):
        y = (centre.reshape(1, -1, 1, 1) - x).double()
        own.append(step.double()(y).flatten(2).mT.flatten(0, 1))
        step.float()
    y, vectors = torch.cat(own, dim=1), bank.vectors.double()
    half = vectors.square().sum(dim=1) / 2
    return half + y @ vectors.T, y.square().sum(dim=1)


@pytest.mark.parametrize("limit", [127, 64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [9, 2100])
def test_bounds_are_below_and_what_is_proven_is_nearest(n, kind, limit):
    bank, twin = filled(n, limit=limit)
    levels = levels_of(kind, bank)
    exact, squares = exact_half_squares(bank, levels)
    offsets, _, _ = twin._select(levels)
    bounds, rows = twin.search(torch.cat(offsets, dim=2))
    slack = twin.search.rounding(squares.float()).double()[:, None]
    assert (bounds <= exact.gather(1, rows) + slack).all()
    others = exact.scatter(1, rows, torch.inf)
    assert (bounds[:, -1:] <= others + slack).all()

    found = twin.examine(levels)
    least = (2 * exact.amin(dim=1) + squares).clamp(min=0).sqrt()
    error = found.distances.double().flatten() - least
    small = 1e-3 * (1 + squares.sqrt())
    proven = found.proof.proven.flatten() == 1
    assert (error.abs() <= small)[proven].all()
    assert (error <= found.proof.excess.flatten() + small).all()
    assert (found.proof.excess.flatten()[proven] == 0).all()
    assert torch.isfinite(found.distances).all()
    assert torch.isfinite(found.proof.excess).all()


@pytest.mark.parametrize("n", [1, 2, 8, 9])
def test_a_bank_of_few_vectors(n):
    """Up to k vectors, all of them are measured, and all is proven."""
    bank, twin = filled(n)
    levels = levels_of("random", bank)
    found = twin.examine(levels)
    distances, score = bank(levels)
    torch.testing.assert_close(found.distances, distances)
    torch.testing.assert_close(found.score, score)
    if n <= 8:
        assert (found.proof.proven == 1).all()
        assert (found.proof.excess == 0).all()


def test_a_bank_of_zeros_divides_by_nothing():
    bank = MemoryBank(20, WIDTHS, upsample=[None, upsample()])
    bank.fill(torch.full((20, sum(WIDTHS)), 3.0))
    found = bank.with_int8_search(4, 127).examine(levels_of("random", bank))
    assert torch.isfinite(found.distances).all()
    torch.testing.assert_close(
        found.distances, bank(levels_of("random", bank))[0]
    )


def test_a_miss_is_not_proven_and_its_excess_covers_it():
    """With one candidate, near ties are missed; without ties there would be nothing to tell apart."""
    generator = torch.Generator().manual_seed(3)
    bank = MemoryBank(2000, 64)
    bank.fill(torch.randn(2000, 64, generator=generator))
    patches = torch.randn(1, 64, 20, 20, generator=generator)
    found = bank.with_int8_search(1, 127).examine([patches])
    exact = bank([patches])[0]
    missed = found.distances > exact + 1e-5
    assert missed.any()
    assert (found.proof.proven[missed] == 0).all()
    assert (found.distances - exact <= found.proof.excess + 1e-5).all()


def test_the_first_of_equal_vectors_is_chosen():
    bank = MemoryBank(30, 4)
    bank.fill(torch.ones(30, 4).index_fill(0, torch.tensor([0, 1]), 5.0))
    _, rows = bank.with_int8_search(30, 127).nearest(torch.ones(2, 4))
    assert rows.tolist() == [2, 2]


def test_other_tensors_are_shared():
    bank, twin = filled(50)
    assert bank.search is None
    assert twin.half_norms is bank.half_norms
    assert twin.search.bytes == sum(
        t.numel() * t.element_size()
        for name, t in twin.state_dict().items()
        if name.startswith("search.") and not name.endswith("largest")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Int8Search(0, 3),
        lambda: Int8Search(3, 0),
        lambda: Int8Search(3, 3, candidates=0),
        lambda: Int8Search(3, 3, limit=128),
        lambda: Int8Search(3, 3, limit=0),
        lambda: Int8Search(3, 3).fill(torch.zeros(3, 2)),
        lambda: Int8Search(3, 3).fill(torch.full((3, 3), torch.nan)),
    ],
)
def test_impossible_searches_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()


class Products(torch.nn.Module):
    """The integers of a search's product, without its scales."""

    def __init__(self, search):
        super().__init__()
        self.search = search

    def forward(self, columns):
        return self.search._product(columns, 0)


@pytest.mark.parametrize("limit", [127, 64])
def test_products_of_the_largest_integers_do_not_saturate(limit, tmp_path):
    """Products of bytes that are added in 16 bits would saturate; all runtimes give the integers of int64."""
    search = Int8Search(64, 256, candidates=4, limit=limit).eval()
    signs = torch.ones(64, 256)
    signs[32:] = -1
    signs[1::2, 128:] *= -1
    search.fill(signs)
    columns = search._columns_of(signs[:32].reshape(1, 32, 256))
    step = search.steps.double()[0]
    bank = search.get_buffer("bank0").long()
    assert int(bank.abs().max()) == limit
    scales = search.get_buffer("scales0").double()
    integers = torch.round(columns[0].double() / step).long() @ bank
    path = tmp_path / "products.onnx"
    program = torch.onnx.export(
        Products(search).eval(),
        (columns,),
        dynamo=True,
        opset_version=18,
        input_names=["x"],
        output_names=["y"],
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    onnx.save(program.model_proto, path)
    outputs = [Products(search)(columns).numpy()]
    for runtime in RUNTIMES:
        with runtimes.open(path, runtime=runtime) as session:
            outputs.append(session.run({"x": columns.numpy()})["y"])
    for output in outputs:
        found = output[0].astype(np.float64) / (float(step) * scales.numpy())
        np.testing.assert_array_equal(np.rint(found), integers.numpy())


def test_a_vector_of_the_least_numbers_has_no_scale_of_zero():
    """Divided by 0, its bounds would be no numbers, and its patches were proven by chance."""
    vectors = torch.tensor([[1e-44, 0.0], [0.0, 0.0], [1.0, 1.0]])
    search = Int8Search(3, 2)
    search.fill(vectors)
    bounds, rows = search(torch.tensor([[[-0.1, 0.0]]]))
    exact = vectors.square().sum(dim=1) / 2 + vectors @ torch.tensor([-0.1, 0])
    assert bool((bounds[0] <= exact[rows[0]] + 1e-6).all())
    assert set(rows[0].tolist()) == {0, 1, 2}
