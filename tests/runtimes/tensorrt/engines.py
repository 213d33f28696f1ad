"""Build engines and open graphs with them."""

from anomedge import runtimes
from anomedge.runtimes import get, options_for

HALF = {
    "layers": [
        ["CAST", ["HALF"]],
        ["CONVOLUTION", ["HALF"]],
        ["CAST", ["FLOAT"]],
        ["REDUCE", ["FLOAT"]],
        ["TOPK", ["FLOAT", "INT32"]],
    ]
}


def made(path, **options):
    runtime = get("trt")
    return runtime.build(path, options_for(runtime, **options), force=True)


def opened(path, **options):
    runtimes.open(path, runtime="trt", **options).close()


def engines(folder):
    return sorted(path.name for path in folder.glob("*.engine"))
