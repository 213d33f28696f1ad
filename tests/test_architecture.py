"""The layout's rules, held by tests: what imports what, what a device needs, how large a file may get."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

import anomedge

PACKAGE = Path(anomedge.__file__).parent
ROOT = PACKAGE.parent
VENDORS = [
    "torch", "torchvision", "timm", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "cuda",
    "safetensors", "skimage", "scipy", "sklearn", "polygraphy", "lightning", "cv2", "matplotlib", "jinja2", "torchmetrics",
    "watchfiles",
    "asyncua", "paho", "pymodbus",
]  # fmt: skip
DEVICE_SIDE = (
    "names", "generated", "errors", "extras", "files", "registry", "precisions", "layouts", "resample", "threshold", "threshold_rules", "images", "bundle", "inspector", "progress", "verification", "testing", "benchmark", "station", "report", "budget", "evaluation", "doctor", "conformance",
)  # fmt: skip
# They read a model, so they need torch; everything else of the budget is device side.
HOST_SIDE_OF_BUDGET = {"anomedge.budget.tracing", "anomedge.budget.suggestions"}
# Each part, and the parts that it may import besides itself.
ALLOWED = {
    "names": set(),
    "generated": set(),
    "errors": {"names"},
    "extras": set(),
    "registry": {"errors"},
    "layouts": {"bundle", "registry", "threshold"},
    "precisions": {"bundle", "registry"},
    "progress": set(),
    "files": {"errors"},
    "resample": {"errors"},
    "threshold": {"errors"},
    "threshold_rules": {"errors", "threshold"},
    "bundle": {"errors", "files", "generated", "resample", "threshold"},
    "images": {"errors", "extras", "files", "generated", "names", "progress", "registry", "resample", "threshold"},
    "runtimes": {"bundle", "errors", "extras", "files", "progress", "registry"},
    "inspector": {"bundle", "errors", "images", "resample", "runtimes", "threshold"},
    "parity": {"bundle", "errors", "files", "generated", "images", "layouts", "names", "precisions", "progress", "resample", "runtimes", "threshold"},
    # It compares with eager Torch where a model is given, and imports the host side only then.
    "verification": {"bundle", "errors", "export", "files", "images", "parity", "pipelines", "resample", "runtimes"},
    # It runs eager Torch where a model is given, as verification does.
    "evaluation": {
        "bundle", "errors", "export", "files", "images", "inspector", "names", "parity", "pipelines", "progress", "resample", "runtimes", "threshold", "verification",
    },
    "conformance": {"bundle", "errors", "files", "images", "inspector", "names", "parity", "resample", "threshold"},
    "testing": {"bundle", "names", "parity", "verification"},
    "benchmark": {"bundle", "errors", "images", "parity", "progress", "resample", "runtimes"},
    "doctor": {"bundle", "errors", "registry", "runtimes"},
    "station": {"bundle", "errors", "extras", "files", "images", "inspector", "names", "progress", "registry", "resample", "threshold", "threshold_rules"},
    "report": {
        "", "benchmark", "bundle", "errors", "extras", "files", "images", "names", "parity", "resample", "runtimes", "threshold", "verification",
    },
    "lint": {"bundle", "errors", "extras", "files"},
    "components": {"errors", "extras", "progress", "resample", "threshold"},
    "pipelines": {"", "components", "errors", "extras", "files", "images", "names", "progress", "registry", "resample", "threshold", "threshold_rules"},
    "interop": {"bundle", "components", "errors", "extras", "files", "images", "names", "pipelines", "progress", "registry", "resample", "threshold", "threshold_rules"},
    "export": {
        "__main__", "bundle", "components", "errors", "extras", "files", "images", "interop", "layouts", "parity", "pipelines", "precisions", "progress", "registry", "resample", "runtimes", "threshold",
    },
    "budget": {"components", "errors", "export", "files", "pipelines", "progress", "resample"},
}  # fmt: skip


def modules(part: str) -> list[str]:
    path = PACKAGE / part
    files = (
        sorted(path.rglob("*.py"))
        if path.is_dir()
        else [path.with_suffix(".py")]
    )
    names = [
        ".".join(("anomedge", *file.relative_to(PACKAGE).with_suffix("").parts))
        for file in files
    ]
    return [
        name.removesuffix(".__init__")
        for name in names
        if not name.endswith("__main__")
    ]


def test_device_side_imports_without_torch_and_vendors():
    parts = (*DEVICE_SIDE, "runtimes", "parity", "commands")
    names = [
        name
        for part in parts
        for name in modules(part)
        if name not in HOST_SIDE_OF_BUDGET
    ]
    code = f"""
import importlib, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {VENDORS!r}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Block())
for name in {names!r}:
    importlib.import_module(name)
from anomedge import runtimes
assert {{'onnxruntime', 'openvino'}} <= set(runtimes.available()), runtimes.available()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part):
    path = PACKAGE / part
    files = (
        sorted(path.rglob("*.py"))
        if path.is_dir()
        else [path.with_suffix(".py")]
    )
    assert files
    for file in files:
        for name in imported(file):
            target = (
                name.removeprefix("anomedge").removeprefix(".").split(".")[0]
            )
            assert target in ALLOWED[part] | {part}, (
                f"{file.relative_to(PACKAGE)} imports {name}"
            )


def imported(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "anomedge":
                found += [
                    "" if a.name.startswith("__") else f"anomedge.{a.name}"
                    for a in node.names
                ]
            else:
                found.append(node.module)
    return [
        name for name in found if name == "" or name.split(".")[0] == "anomedge"
    ]


# They parse what this program, or a vendor's profiler that it started, wrote in the same run.
PARSES_OWN_OUTPUT = {
    "benchmark.py", "doctor/processes.py", "doctor/worker.py", "lint/vendors.py", "parity/records.py", "runtimes/nvidia/gpus.py", "runtimes/nvidia/placement.py",
    "runtimes/own_process.py",
}  # fmt: skip


def test_every_json_file_is_read_strictly():
    """One reader refuses duplicate keys, lone surrogates and numbers that are none; nothing else parses JSON."""
    parsers = re.compile(r"\bjson\.loads?\(|\bmodel_validate_json\(")
    found = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if parsers.search(file.read_text())
    }
    assert found == PARSES_OWN_OUTPUT | {"files/strict_json.py"}


def test_linter_forbids_vendors_on_the_device_side():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
        "ruff"
    ]["lint"]
    assert "TID" in rules["select"]
    banned = set(rules["flake8-tidy-imports"]["banned-module-level-imports"])
    assert {"torch", "onnxruntime", "openvino", "tensorrt", "onnx"} <= banned
    free = [
        pattern
        for pattern, ignored in rules["per-file-ignores"].items()
        if "TID253" in ignored
    ]
    device_side = [
        f"anomedge/{part}"
        for part in (*DEVICE_SIDE, "runtimes", "parity", "commands")
    ]
    host_side = {f"{name.replace('.', '/')}.py" for name in HOST_SIDE_OF_BUDGET}
    assert not [
        pattern
        for pattern in free
        if pattern not in host_side and any(p in pattern for p in device_side)
    ]


PICKLE_READERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
}


def pickle_uses(source):
    """The imports of unpicklers, and the calls that would execute a pickle."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (
                a.name
                for a in node.names
                if a.name.split(".")[0] in PICKLE_READERS
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in PICKLE_READERS:
                yield node.module
            yield from (a.name for a in node.names if a.name in PICKLE_READERS)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name.endswith("Unpickler"):
                yield name
        elif isinstance(node, ast.Call):
            yield from unsafe_arguments(node)


def unsafe_arguments(call):
    """The arguments that let torch.load or numpy.load execute a pickle."""
    given = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
    of_torch = ast.unparse(call.func) == "torch.load"
    if of_torch and given.get("weights_only") is not True:
        yield "torch.load without weights_only=True"
    if given.get("allow_pickle", False) is not False:
        yield "allow_pickle"


@pytest.mark.parametrize(
    "file",
    sorted(PACKAGE.rglob("*.py")),
    ids=lambda f: str(f.relative_to(PACKAGE)),
)
def test_no_pickle_is_executed(file):
    assert list(pickle_uses(file.read_text())) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("import pickle as p", ["pickle"]),
        ("from pickle import loads", ["pickle"]),
        ("from torch.serialization import pickle", ["pickle"]),
        ("class R(anything.Unpickler): pass", ["Unpickler"]),
        ("torch.load(f)", ["torch.load without weights_only=True"]),
        (
            "torch.load(f, weights_only=False)",
            ["torch.load without weights_only=True"],
        ),
        (
            "torch.load(f, weights_only=x)",
            ["torch.load without weights_only=True"],
        ),
        ("np.load(f, allow_pickle=True)", ["allow_pickle"]),
        ("torch.load(f, weights_only=True)", []),
        ("np.load(f, allow_pickle=False)", []),
        ("import pickletools", []),
    ],
)
def test_uses_of_pickles_are_found(source, found):
    assert list(pickle_uses(source)) == found


@pytest.mark.parametrize(
    "file", sorted(PACKAGE.rglob("__init__.py")), ids=lambda f: f.parent.name
)
def test_public_names_exist_and_are_sorted(file):
    tree = ast.parse(file.read_text())
    lists = [
        n.value
        for n in tree.body
        if isinstance(n, ast.Assign)
        and getattr(n.targets[0], "id", "") == "__all__"
    ]
    for names in (ast.literal_eval(value) for value in lists):
        module = __import__(
            modules(str(file.parent.relative_to(PACKAGE)))[0]
            if file.parent != PACKAGE
            else "anomedge",
            fromlist=["x"],
        )
        assert all(hasattr(module, name) for name in names)
        # As the linter sorts: constants, classes, functions.
        assert sorted(names) == sorted(set(names))


def test_one_module_imports_runtimes_that_send_usage_statistics():
    """A direct import of OpenVINO or ONNX Runtime would send them."""
    direct = re.compile(
        r"^\s*(from|import) (openvino|onnxruntime)\b", re.MULTILINE
    )
    found = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if direct.search(file.read_text())
    }
    # The worker is a process of its own that hides the package first.
    assert found == {"lint/workers/openvino_worker.py"}
