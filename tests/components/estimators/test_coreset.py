import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from anomedge.components import KCenterGreedy
from anomedge.errors import InputError


def plain_greedy(points, first, count):
    chosen = [first]
    distances = cdist(points, points[[first]])[:, 0]
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(
            distances, cdist(points, points[chosen[-1:]])[:, 0]
        )
    return chosen


def test_selects_as_the_plain_algorithm(float64):
    points = torch.randn(300, 7)
    chosen = KCenterGreedy(points, 0.1).select_coreset_idxs()
    assert len(chosen) == 30
    assert chosen == plain_greedy(points.numpy(), chosen[0], 30)


def test_the_global_random_state_neither_matters_nor_changes():
    points = torch.randn(200, 4)
    torch.manual_seed(1)
    one = KCenterGreedy(points, 0.1, seed=5).select_coreset_idxs()
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert KCenterGreedy(points, 0.1, seed=5).select_coreset_idxs() == one
    torch.manual_seed(1)
    KCenterGreedy(points, 0.1, seed=5)
    assert torch.equal(torch.get_rng_state(), state)


def test_members_work_by_hand():
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    greedy = KCenterGreedy(points, 1.0)
    with pytest.raises(InputError, match="no centre"):
        greedy.get_new_idx()
    greedy.update_distances([0])
    assert greedy.get_new_idx() == 3
    greedy.update_distances([3])
    assert greedy.get_new_idx() in (1, 2)
    greedy.reset_distances()
    assert greedy.min_distances is None
    assert sorted(greedy.select_coreset_idxs([0])) == [1, 2, 3]
    assert greedy.sample_coreset().shape == (4, 1)


def test_centres_come_in_every_form():
    greedy = KCenterGreedy(torch.tensor([[0.0], [1.0], [10.0]]), 0.4)
    assert greedy.n_observations == 3
    for nothing in (None, [], torch.tensor([], dtype=torch.int64)):
        greedy.update_distances(nothing)
        assert greedy.min_distances is None
        assert len(greedy.select_coreset_idxs(nothing)) == 1
        greedy.reset_distances()
    for one in (
        2,
        [2],
        torch.tensor(2),
        torch.tensor([2]),
        np.int64(2),
        np.array(2),
        np.array([2]),
        (2,),
    ):
        greedy.reset_distances()
        greedy.update_distances(one)
        assert greedy.get_new_idx() == 0
    greedy.reset_distances()
    greedy.update_distances(
        cluster_center=torch.tensor(2)
    )  # the name in anomalib 2.7
    assert greedy.get_new_idx() == 0
    with pytest.raises(TypeError, match="must be of type Tensor"):
        KCenterGreedy(torch.zeros(3, 1), 1.0).get_new_idx()


def test_duplicates_are_chosen_once_each():
    chosen = KCenterGreedy(torch.zeros(6, 3), 1.0).select_coreset_idxs()
    assert sorted(chosen) == list(range(6))


def test_large_duplicates_are_chosen_once_each():
    """Their distances cancel far below zero in float32, which must not make them look unchosen."""
    points = (torch.randn(40, 512) * 1000).repeat(3, 1)
    assert sorted(KCenterGreedy(points, 1.0).select_coreset_idxs()) == list(
        range(120)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: KCenterGreedy(torch.zeros(0, 3), 0.1),
        lambda: KCenterGreedy(torch.zeros(3), 0.1),
        lambda: KCenterGreedy(torch.zeros(3, 3), 0.0),
        lambda: KCenterGreedy(torch.zeros(3, 3), 1.1),
        lambda: KCenterGreedy(torch.full((3, 3), torch.nan), 0.5),
        lambda: KCenterGreedy(torch.zeros(3, 3), 0.5).update_distances([3]),
        lambda: KCenterGreedy(torch.zeros(3, 3), 0.5).select_coreset_idxs([-1]),
        lambda: KCenterGreedy(torch.zeros(3, 3), 0.5).update_distances([True]),
        lambda: KCenterGreedy(torch.zeros(3, 3), 0.5).update_distances(
            torch.tensor([True, False, True])
        ),
        lambda: KCenterGreedy(torch.zeros(3, 3), 0.5).update_distances(1.5),
    ],
)
def test_what_has_no_coreset_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
