"""Options of live sources reach the source."""

from anomedge.commands._live_options import with_live
from anomedge.station import FramePolicy, SourceOptions


def test_the_other_options_stay():
    given = with_live(SourceOptions(retries=3), FramePolicy.ALL, 0.0, 2.0)
    assert given == SourceOptions(
        retries=3,
        frames=FramePolicy.ALL,
        read_timeout=0.0,
        first_frame=2.0,
    )
    assert with_live(SourceOptions(), None, None, None).given() == []
