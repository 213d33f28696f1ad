"""Types of networks, release by release."""

from tests.runtimes.tensorrt.engines import HALF, made


def test_networks_are_strongly_typed_from_10_on(trt, graph):
    made(graph(**HALF))
    release = trt.__version__
    flag = (
        {"8": 1 << 0, "1": 1 << 1}[release[0]]
        if not release.startswith("11")
        else 1 << 0
    )
    assert trt.flags == flag
    if release.startswith("8"):
        assert trt.config._flags == {"FP16", "OBEY_PRECISION_CONSTRAINTS"}
    else:
        assert trt.config._flags == set()
        assert not any(call.startswith("ILayer") for call in trt.journal)


def test_on_8_all_that_is_float_is_pinned_to_float(machine, graph):
    trt = machine.install("8.6.1")
    made(graph(**HALF))
    pinned = [
        (layer._type.name, layer.__dict__.get("precision"), dict(layer._set))
        for layer in trt.network._layers
    ]
    float_ = trt.DataType.FLOAT
    assert pinned == [
        ("CAST", None, {}),
        ("CONVOLUTION", None, {}),
        ("CAST", None, {}),
        ("REDUCE", float_, {0: float_}),
        ("TOPK", float_, {0: float_}),
    ]
    made(graph("plain.onnx"))
    assert trt.config._flags == set()
    assert all(
        layer.__dict__.get("precision") is None for layer in trt.network._layers
    )
