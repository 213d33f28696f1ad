"""Counts of decided and undecided frames."""

from anomedge.station.counts import Counts, Summary


def test_a_decided_frame_ends_a_row_of_undecided_ones():
    counts = Counts()
    for _ in range(3):
        counts.add_undecided()
    assert counts.undecided_in_a_row == 3
    counts.add_decided(anomalous=True)
    counts.add_decided(anomalous=False)
    counts.add_undecided()
    assert counts.undecided_in_a_row == 1
    assert counts.handled == 6
    assert counts.summary(errors=5, dropped=7) == Summary(
        frames=2, anomalous=1, undecided=4, errors=5, dropped=7
    )
