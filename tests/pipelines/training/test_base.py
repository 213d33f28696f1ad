"""What a trained detector states, and what it need not."""

from anomedge.pipelines import Config
from tests.pipelines.training.detectors import SIZE, Mean, images


def untrained():
    config = Config(size=SIZE)
    return Mean(config, **Mean.build_networks(config))


def test_trained_parameters_are_those_of_the_trained_networks():
    made = untrained()
    found = {id(each) for each in made.trained_parameters()}
    assert found == {id(each) for each in made.learner.parameters()}
    assert not found & {id(each) for each in made.frozen.parameters()}


def test_schedule_and_buffers_are_optional():
    from anomedge.pipelines.training import TrainedPipeline

    made = untrained()
    assert TrainedPipeline.schedule(made, None, None, 3) is None
    TrainedPipeline.prepare(made, images())
    TrainedPipeline.finish(made, images())
    assert (made.prepared, made.finished) == (0, 0)
    assert made.record is None
