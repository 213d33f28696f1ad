"""The examples of docs/extend.md run as they are."""

import importlib.util

import numpy as np
import torch

from tests.documentation import ROOT

EXAMPLES = ROOT / "docs" / "examples"


def load_example(name):
    """Import an example from its file."""
    specification = importlib.util.spec_from_file_location(
        name, EXAMPLES / f"{name}.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_detector_example_gives_the_distance_to_the_mean():
    from anomedge.pipelines.data import FitData

    detector = load_example("mean_distance").MeanDistance
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.rand(count, 3, 64, 64, generator=generator) for count in (2, 1)
    ]
    data = FitData(batches, size=(64, 64))
    options = detector.options_class(weights="random")
    pipeline = detector.fit(data, options)
    images = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        normal = torch.cat([pipeline.patches(batch) for batch in batches])
        found = pipeline.stages(images)
        patches = pipeline.patches(images)
    mean = normal.double().mean(dim=(0, 2, 3))
    offset = patches.double() - mean[None, :, None, None]
    expected = offset.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        found["distances"].double(), expected, rtol=1e-4, atol=1e-5
    )
    assert list(found)[-2:] == ["anomaly_map", "score"]
    assert found["anomaly_map"].shape == (2, 1, 64, 64)


def test_the_runtime_example_answers_the_contract(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    frames = helper.make_tensor_value_info(
        "frames", TensorProto.UINT8, ["batch", 4, 6, 3]
    )
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    graph = helper.make_graph([], "empty", [frames], [score])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    session_class = load_example("zeros_runtime").ZerosSession
    with session_class(path, session_class.Options()) as session:
        outputs = session.run({"frames": np.ones((2, 4, 6, 3), np.uint8)})
    assert list(outputs) == ["score"]
    np.testing.assert_array_equal(outputs["score"], np.zeros(2, np.float32))


def test_the_trained_example_learns_the_normal_images():
    from anomedge.pipelines.data import FitData

    detector = load_example("autoencoder").Autoencoder
    colours = torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    data = FitData([colours.expand(8, 3, 16, 24)], size=(16, 24))
    options = detector.options_class(
        epochs=60, learning_rate=0.02, device="cpu"
    )
    pipeline = detector.fit(data, options)
    plain = colours[:1].expand(1, 3, 16, 24)
    spotted = plain.clone()
    spotted[:, :, 5, 7] = 1 - spotted[:, :, 5, 7].round()
    with torch.no_grad():
        found = pipeline.stages(torch.cat([plain, spotted]))
    assert found["score"][1] > 2 * found["score"][0]
    place = found["anomaly_map"][1, 0].argmax().item()
    assert divmod(place, 24) == (5, 7)
