"""TensorRT as a release has it: every enumeration and class is cut to what `surfaces/<release>.json` lists.

An attribute that the release lacks raises, whether it is read, called or set. A "graph" is a JSON text (or a real ONNX
file, whose inputs and outputs are read); an "engine" gives, for image b, the mean of its input plus 0, 1, 2, ... in turn.
"""

import enum
import json
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

SURFACES = Path(__file__).parent / "surfaces"
RELEASES = ("8.6.1", "10.3.0", "10.13.3", "10.16.1", "11.4.0")
SIZES = {
    "UINT8": "uint8",
    "FLOAT": "float32",
    "HALF": "float16",
    "INT32": "int32",
    "INT64": "int64",
    "BF16": "uint16",
}
ONNX = {1: "FLOAT", 2: "UINT8", 6: "INT32", 7: "INT64", 10: "HALF"}


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = Severity


class IProgressMonitor:
    pass


class TensorIOMode(enum.IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class Guarded:
    """What the release's class has, and nothing else; public names are kept in a journal."""

    def __init__(self, trt, **more):
        for name, value in {"_trt": trt, **more}.items():
            object.__setattr__(self, name, value)

    def _check(self, name):
        kind = type(self).__name__
        if name not in self._trt.surface["classes"][kind]:
            raise AttributeError(
                f"{kind} of {self._trt.__version__} has no {name}"
            )
        self._trt.journal.append(f"{kind}.{name}")

    def __getattribute__(self, name):
        if not name.startswith("_"):
            self._check(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        if not name.startswith("_"):
            self._check(name)
        object.__setattr__(self, name, value)


class ITensor(Guarded):
    name = property(lambda self: self._name)
    shape = property(lambda self: self._shape)
    dtype = property(lambda self: self._dtype)


class ILayer(Guarded):
    type = property(lambda self: self._type)
    num_outputs = property(lambda self: len(self._kinds))
    precision = None

    def get_output(self, i):
        return ITensor(self._trt, _dtype=self._trt.DataType[self._kinds[i]])

    def set_output_type(self, i, kind):
        self._set[i] = kind


class INetworkDefinition(Guarded):
    num_inputs = property(lambda self: len(self._graph["inputs"]))
    num_layers = property(lambda self: len(self._layers))

    def _take(self, graph):
        trt = self._trt
        self._graph = graph
        self._layers = [
            ILayer(trt, _type=trt.LayerType[kind], _kinds=kinds, _set={})
            for kind, kinds in graph.get("layers", [])
        ]

    def get_input(self, i):
        name, (kind, shape) = list(self._graph["inputs"].items())[i]
        return ITensor(
            self._trt,
            _name=name,
            _shape=tuple(shape),
            _dtype=self._trt.DataType[kind],
        )

    def get_layer(self, i):
        return self._layers[i]


class OnnxParser(Guarded):
    num_errors = property(lambda self: len(self._errors))

    def parse(self, model):
        return self._take(read_graph(model))

    def parse_from_file(self, path):
        return self._take(read_graph(Path(path).read_bytes()))

    def _take(self, graph):
        self._trt.say(graph.get("says", []))
        self._errors = graph.get("errors", [])
        self._network._take(graph)
        return not self._errors

    def get_error(self, i):
        return self._errors[i]


class IOptimizationProfile(Guarded):
    def set_shape(self, name, least, usual, largest):
        self._shapes[name] = (least, usual, largest)


class ITimingCache(Guarded):
    def serialize(self):
        return b"timed " + self._content


class IBuilderConfig(Guarded):
    default_device_type = DLA_core = hardware_compatibility_level = (
        progress_monitor
    ) = num_compute_capabilities = None

    def set_flag(self, flag):
        assert isinstance(flag, self._trt.BuilderFlag)
        self._flags.add(flag.name)

    def clear_flag(self, flag):
        assert isinstance(flag, self._trt.BuilderFlag)
        self._flags.discard(flag.name)

    def set_memory_pool_limit(self, pool, size):
        self._pools[pool.name] = size

    def set_compute_capability(self, capability, i):
        self._capabilities.append(capability)

    def add_optimization_profile(self, profile):
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, content):
        return ITimingCache(self._trt, _content=content)

    def set_timing_cache(self, cache, ignore_mismatch):
        assert ignore_mismatch is False
        return not cache._content.startswith(b"another's")


class Builder(Guarded):
    num_DLA_cores = property(lambda self: self._trt.cores)

    def __init__(self, trt, log):
        super().__init__(trt)
        trt.log = log

    def create_network(self, flags):
        self._trt.flags = flags
        return INetworkDefinition(self._trt)

    def create_builder_config(self):
        more = {
            "_flags": {"TF32"},
            "_pools": {},
            "_profiles": [],
            "_capabilities": [],
        }
        self._trt.config = IBuilderConfig(self._trt, **more)
        return self._trt.config

    def create_optimization_profile(self):
        return IOptimizationProfile(self._trt, _shapes={})

    def build_serialized_network(self, network, config):
        trt, graph = self._trt, network._graph
        trt.network, trt.builds = network, trt.builds + 1
        trt.say(graph.get("build_says", []))
        if config.__dict__.get("progress_monitor") is not None and not trt.step(
            config.__dict__["progress_monitor"]
        ):
            return None
        if graph.get("unbuildable"):
            return None
        shapes = {
            name: shape
            for profile in config._profiles
            for name, shape in profile._shapes.items()
        }
        return json.dumps(
            {"version": trt.__version__, "graph": graph, "profile": shapes}
        ).encode()


class Counted(Guarded):
    """Open until the last reference goes, and counted where CUDA can see it."""

    def __init__(self, trt, **more):
        super().__init__(trt, **more)
        trt.cuda.alive[self._counted] += 1

    def __del__(self):
        self._trt.cuda.alive[self._counted] -= 1


class Runtime(Counted):
    _counted = "runtime"
    engine_host_code_allowed = DLA_core = None

    def __init__(self, trt, log):
        super().__init__(trt)
        trt.log = log

    def deserialize_cuda_engine(self, plan):
        trt = self._trt
        trt.say(trt.reading)
        try:
            content = json.loads(plan)
        except ValueError:
            content = {}
        if content.get("version") != trt.__version__:
            trt.say([("ERROR", "Serialization assertion failed")])
            return None
        return ICudaEngine(trt, _plan=content)


class ICudaEngine(Counted):
    _counted = "engine"
    num_io_tensors = property(lambda self: len(self._tensors()))

    def _tensors(self):
        return self._plan["graph"]["inputs"] | self._plan["graph"]["outputs"]

    def get_tensor_name(self, i):
        return list(self._tensors())[i]

    def get_tensor_dtype(self, name):
        return self._trt.DataType[self._tensors()[name][0]]

    def get_tensor_shape(self, name):
        return tuple(self._tensors()[name][1])

    def get_tensor_mode(self, name):
        return (
            TensorIOMode.INPUT
            if name in self._plan["graph"]["inputs"]
            else TensorIOMode.OUTPUT
        )

    def get_tensor_profile_shape(self, name, profile):
        return [tuple(shape) for shape in self._plan["profile"][name]]

    def create_execution_context(self):
        if self._plan["graph"].get("no_context"):
            return None
        return IExecutionContext(
            self._trt, _plan=self._plan, _shapes={}, _addresses={}, _warm=False
        )


class IExecutionContext(Counted):
    _counted = "context"

    def set_input_shape(self, name, shape):
        self._warm = False
        least, _, largest = self._plan["profile"].get(
            name, [self._plan["graph"]["inputs"][name][1]] * 3
        )
        self._shapes[name] = shape
        return all(
            low <= size <= high
            for low, size, high in zip(least, shape, largest, strict=True)
        )

    def get_tensor_shape(self, name):
        count = next(iter(self._shapes.values()))[0]
        return tuple(
            count if size == -1 else size
            for size in self._plan["graph"]["outputs"][name][1]
        )

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        cuda, graph = self._trt.cuda, self._plan["graph"]
        if graph.get("fails") or (
            cuda.capturing is not None and not self._warm
        ):
            self._trt.say(
                [
                    (
                        "ERROR",
                        "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime",
                    )
                ]
            )
            return False
        self._warm = cuda.capturing is None or self._warm
        shapes = {
            name: self.get_tensor_shape(name) for name in graph["outputs"]
        }
        given, addresses = dict(self._shapes), dict(self._addresses)
        cuda.enqueue(
            stream, lambda: compute(cuda, graph, addresses, given, shapes)
        )
        return True


def compute(cuda, graph, addresses, given, shapes):
    name, shape = next(iter(given.items()))
    images = view(cuda, addresses[name], graph["inputs"][name][0], shape)
    for output, size in shapes.items():
        into = view(cuda, addresses[output], graph["outputs"][output][0], size)
        into[...] = expected(images, size).astype(into.dtype)


def expected(images, shape):
    """What an engine gives: for each image its mean, plus 0, 1, 2, ... in turn."""
    means = images.reshape(len(images), -1).mean(axis=1, dtype=np.float64)
    each = int(np.prod(shape[1:]))
    return (means[:, None] + np.arange(each)).reshape(shape)


def view(cuda, address, kind, shape):
    dtype = np.dtype(SIZES[kind])
    return (
        cuda.memory["device"][address][: int(np.prod(shape)) * dtype.itemsize]
        .view(dtype)
        .reshape(shape)
    )


def read_graph(content):
    if content.startswith(b"{"):
        return json.loads(content)
    import onnx

    proto = onnx.ModelProto.FromString(content).graph
    inputs, outputs = (
        {v.name: described(v) for v in values}
        for values in (proto.input, proto.output)
    )
    return {
        "inputs": inputs,
        "outputs": outputs,
        "layers": [["CONVOLUTION", ["FLOAT"]]],
    }


def described(value):
    kind = value.type.tensor_type
    return [
        ONNX[kind.elem_type],
        [
            d.dim_value if d.HasField("dim_value") else -1
            for d in kind.shape.dim
        ],
    ]


class FakeTensorRT(ModuleType):
    """The module of a release. `reading` is what it logs when it reads an engine, `cores` its number of DLA cores."""

    def __init__(self, release, cuda, name="tensorrt"):
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.surface = json.loads(
            (SURFACES / f"{release}.json").read_text(encoding="utf-8")
        )
        self.__version__ = self.surface["version"]
        self.cuda, self.journal, self.log = cuda, [], None
        (
            self.builds,
            self.cores,
            self.reading,
            self.flags,
            self.config,
            self.network,
        ) = 0, 0, [], 0, None, None
        self.step = self._steps
        for kind, members in self.surface["enums"].items():
            values = self.surface["values"].get(kind, {})
            numbers = {
                name: values.get(name, 10 + i) for i, name in enumerate(members)
            }
            setattr(self, kind, enum.IntEnum(kind, numbers))
        made = {
            "Builder": Builder,
            "OnnxParser": OnnxParser,
            "Runtime": Runtime,
        }
        for name in self.surface["top"]:
            if name in made:
                setattr(self, name, self._maker(made[name]))
        self.ILogger, self.TensorIOMode = ILogger, TensorIOMode
        if "IProgressMonitor" in self.surface["top"]:
            self.IProgressMonitor = IProgressMonitor
        if "ComputeCapability" in self.surface["top"]:
            self.ComputeCapability = SimpleNamespace(SM75="SM75")

    def _maker(self, kind):
        def make(*arguments):
            self.journal.append(kind.__name__)
            if kind is OnnxParser:
                return OnnxParser(self, _network=arguments[0], _errors=[])
            return kind(self, *arguments)

        return make

    def say(self, lines):
        for severity, text in lines:
            self.log.log(Severity[severity], text)

    def _steps(self, monitor):
        monitor.phase_start("Building engine", None, 2)
        answers = [
            monitor.step_complete("Building engine", i) for i in range(2)
        ]
        monitor.phase_finish("Building engine")
        return all(answers)
