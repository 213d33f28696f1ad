"""Mutations with recomputed hashes and digest, which need no secret."""

import io
import json
import os
import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from _copies import Copy, canonical
from _hostile_json import HOSTILE_NAMES, RAW, hostile_value, operate
from _mutate_files import make_special
from _mutate_golden import arrays, pictures

__all__ = ["SIGNED"]


def surgery(copy: Copy, rng: Random) -> None:
    """Apply random operations to the manifest and recompute the digest."""
    content, raw = copy.manifest(), {}
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        raw |= operate(content, rng)
    copy.put_manifest(content, sign=True, raw=raw)


def contract(copy: Copy, rng: Random) -> None:
    """Set values that the schema permits but that contradict the graphs."""
    content = copy.manifest()
    height, width = rng.choice(
        [(1, 1), (96, 127), (16384, 16384), (128, 96), (1, 16384)]
    )
    changes: list[Callable[[], Any]] = [
        lambda: content["input"].update(height=height, width=width),
        lambda: content["input"].update(batch=rng.choice([1, 2, 4096])),
        lambda: content["image"].update(size=[height, width]),
        lambda: content["image"].update(crop=rng.choice([None, [1, 1], [16384, 16384]])),
        lambda: content.update(outputs=rng.choice([[], content["outputs"][:1], content["outputs"] * 50])),
        lambda: content["outputs"][-1:] and content["outputs"][-1].update(shape=rng.choice([[], [1], [1, 16384, 16384]])),
        lambda: content.update(stages=rng.choice([[], ["x"], ["../../secret"], [*HOSTILE_NAMES], content["stages"] * 100])),
        lambda: content.update(tolerances=rng.choice([{}, {"fp32": {}}, {"fp32": {"score": -1.0}}, {"fp32": {"x" * 9: 1.0}}])),
        lambda: content["tolerances"]["fp32"].update(dict.fromkeys(content["tolerances"]["fp32"], 1e+300)),
        lambda: content.update(variants=rng.choice([{}, {"fp16": content["variants"]["fp32"]}, {"": content["variants"]["fp32"]}])),
        lambda: content.update(golden=rng.choice([[], content["golden"][:1], content["golden"] * 70, content["golden"][::-1]])),
        lambda: [entry.update(stages=True) for entry in content["golden"]],
        lambda: content["decision"].update(threshold=rng.choice([1e308, -1e308, 0]), minimum=1e308, maximum=-1e308),
        lambda: content["decision"].update(scale=5e-324),
        lambda: content.update(detector=rng.choice(HOSTILE_NAMES), opset=rng.choice([7, 64])),
        lambda: content.update(config={"a": hostile_value(rng)}),
    ]  # fmt: skip
    for change in rng.sample(changes, rng.choice([1, 1, 3])):
        change()
    copy.put_manifest(content, sign=True)


def paths(copy: Copy, rng: Random) -> None:
    """Set paths that lead out of the bundle, or to another of its files."""
    content = copy.manifest()
    record = rng.choice(
        [{"bytes": 0, "sha256": "0" * 64}, content["files"]["model.onnx"]]
    )
    name = (
        rng.choice(HOSTILE_NAMES)
        if rng.random() < 0.7
        else rng.choice(copy.names)
    )
    if rng.random() < 0.6:
        content["files"][name] = record
    place = rng.randrange(4)
    if place == 0:
        content["golden"][rng.randrange(len(content["golden"]))]["frame"] = name
    elif place in (1, 2):
        content["variants"]["fp32"][
            rng.choice(["onnx", "stages", "openvino"])
        ] = name
    copy.put_manifest(content, sign=True)


def swapped(copy: Copy, rng: Random) -> None:
    """Swap files."""
    one, other = rng.sample(copy.listed, 2)
    copy.write(one, copy.read(other))
    if rng.random() < 0.5:
        copy.write(other, copy.read(one))
    copy.sign()


def forgeries(copy: Copy, rng: Random) -> None:
    """Apply one to three forgeries: other weights, decision, tolerances, golden scores or certificate; recompute digests."""
    content = copy.manifest()
    decision = content["decision"]
    changes: list[Callable[[], Any]] = [
        lambda: _change_scores(copy, content, rng),
        lambda: decision.update(scale=decision["scale"] * rng.choice([1.01, 5.0, 1e30])),
        lambda: decision.update(threshold=decision["threshold"] * rng.choice([1.0001, 1.5, 1e9])),
        lambda: decision.update(minimum=-1e9, maximum=1e9),
        lambda: content["tolerances"].update(fp32=dict.fromkeys(content["tolerances"]["fp32"], rng.choice([1e-3, 1e300]))),
        lambda: _change_golden_scores(copy, rng),
        lambda: _change_contract(copy, rng),
        lambda: _forge_certificate(copy, rng),
    ]  # fmt: skip
    for change in rng.sample(changes, rng.choice([1, 2, 3])):
        change()
    copy.sign(content)


def _change_scores(copy: Copy, content: dict[str, Any], rng: Random) -> None:
    """Multiply one weight tensor by a factor, in place, so that graphs that share the weights stay valid."""
    factor = np.float32(rng.choice([0.001, 0.9, 1.002]))
    model = onnx.load_from_string(copy.read("model.onnx"))
    floats = [
        t
        for t in model.graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and len(t.raw_data) > 256
    ]
    tensor = rng.choice(floats)
    tensor.raw_data = (
        (np.frombuffer(tensor.raw_data, "<f4") * factor).astype("<f4").tobytes()
    )
    copy.write("model.onnx", model.SerializeToString())
    if rng.random() < 0.5:
        copy.remove("openvino")
        content["variants"]["fp32"]["openvino"] = None


def _change_contract(copy: Copy, rng: Random) -> None:
    """Change, add or remove an entry of the contract that a graph carries, in the ONNX file or in the IR."""
    value = rng.choice(["1e9", "-1e9", "nan", "", "BGR", "0 1", "1"])
    ir = "openvino/model.xml"
    if rng.random() < 0.4 and (copy.root / ir).exists():
        _change_contract_of_ir(copy, ir, value, rng)
        return
    model = onnx.load_from_string(copy.read("model.onnx"))
    entries = model.metadata_props
    kind = rng.randrange(4)
    if kind == 0 and entries:
        del entries[rng.randrange(len(entries))]
    elif kind == 1 or not entries:
        entries.add(key=rng.choice(["anomedge.more", "threshold"]), value=value)
    elif kind == 2:
        entries.add(key=rng.choice(entries).key, value=value)
    else:
        rng.choice(entries).value = value
    copy.write("model.onnx", model.SerializeToString())


def _change_contract_of_ir(
    copy: Copy, ir: str, value: str, rng: Random
) -> None:
    text = copy.read(ir).decode()
    names = re.findall(r"<(\w+) value=", text.partition("<anomedge>")[2])
    key = rng.choice(names or ["threshold"])
    entry = f'<{key} value="{value}"/>'
    changes = [
        re.sub(rf'<{key} value="[^"]*"\s*/>', entry, text),
        text.replace("</anomedge>", f"{entry}</anomedge>"),
        text.replace("</rt_info>", f"<anomedge>{entry}</anomedge></rt_info>"),
        text.replace(
            "</rt_info>", f'<info name="anomedge">{entry}</info></rt_info>'
        ),
    ]
    copy.write(ir, rng.choice(changes).encode())


def _change_golden_scores(copy: Copy, rng: Random) -> None:
    buffer = io.BytesIO()
    np.save(
        buffer,
        np.load(io.BytesIO(copy.read("golden/score.npy")))
        * np.float32(rng.choice([1.001, 2.0])),
    )
    copy.write("golden/score.npy", buffer.getvalue())


_KINDS = ("bundle", "pixels", "stage", "contract")
_NAMES = (
    "rounded", "interfaces", "weights", "golden statements", "map near the pixel threshold",
)  # fmt: skip


def _drop_checks(content: Any, key: str, value: str) -> None:
    content["checks"] = [
        check for check in content["checks"] if check[key] != value
    ]


def _forge_certificate(copy: Copy, rng: Random) -> None:
    """Make rows of the certificate fail and store a verdict that passes."""
    content = json.loads(copy.read("certificates/host.json"))
    cell = rng.choice(content["cells"])
    changes: list[Callable[[], Any]] = [
        lambda: content.update(cells=[]),
        lambda: content.update(checks=[]),
        lambda: cell.update(score_error=rng.choice([-1.0, 18.6, 2e-4])),
        lambda: cell.update(flips=["a.png"]),
        lambda: rng.choice(content["checks"]).update(passed=False),
        lambda: content["cells"].append(cell | {"runtime": "tensorrt"}),
        lambda: _drop_checks(content, "kind", rng.choice(_KINDS)),
        lambda: _drop_checks(content, "name", rng.choice(_NAMES)),
        lambda: content["about"].update(graphs={}),
        lambda: cell.update(smallest_margin=-1.0),
        lambda: content["pictures"].update(total=0),
    ]
    rng.choice(changes)()
    copy.write(
        "certificates/host.json",
        canonical(content | {"failures": [], "passed": True}),
    )


def certificates(copy: Copy, rng: Random) -> None:
    """Mutate the certificate of an unchanged bundle."""
    if rng.random() < 0.5:
        _forge_certificate(copy, rng)
        return
    content, raw = json.loads(copy.read("certificates/host.json")), {}
    for _ in range(rng.choice([1, 2, 4])):
        raw |= operate(content, rng)
    data = canonical(content)
    for marker, token in raw.items():
        data = data.replace(b'"' + marker.encode() + b'"', token.encode())
    copy.write("certificates/host.json", data)


def local(copy: Copy, rng: Random) -> None:
    """Write local settings and certificates, which no digest covers."""
    settings: Any = {
        "bundle": copy.manifest()["digest"],
        "threshold": 1.5,
        "pixel_threshold": 2.0,
        "minimum": 0.0,
        "maximum": 3.0,
        "by": "me",
        "when": "now",
        "pictures": "9",
    }
    name = rng.choice(
        [
            "local.json",
            "local.json",
            "local.json",
            "certificates/host.json",
            "certificates/a/b/c",
        ]
    )
    if rng.random() < 0.15:
        make_special(copy, name, rng)
        return
    if rng.random() < 0.5:
        raw = {}
        for _ in range(rng.choice([1, 2])):
            raw |= operate(settings, rng)
        data = canonical(settings)
        for marker, token in raw.items():
            data = data.replace(b'"' + marker.encode() + b'"', token.encode())
    else:
        data = rng.choice(
            [
                *(r.encode() for r in RAW),
                rng.randbytes(100),
                b" " * (1 << 17),
                b"{}",
                canonical(hostile_value(rng)),
                b"\xff",
            ]
        )
    copy.write(name, data)


def claims(copy: Copy, rng: Random) -> None:
    """Add pipes, devices and huge files that the manifest lists with their reported size."""
    name = rng.choice(copy.listed)
    content = copy.manifest()
    if rng.random() < 0.6:
        make_special(copy, name, rng)
        size = 0
    else:
        size = rng.choice([1 << 37, 1 << 40, 1 << 43])
        copy.write(name, b"")
        try:
            os.truncate(copy.root / name, size)
        except OSError:
            size = 0
    content["files"][name]["bytes"] = size
    copy.put_manifest(content, sign=True)


def many(copy: Copy, rng: Random) -> None:
    """Add more files and names than any export writes, all of them listed."""
    for number in range(rng.choice([50, 50, 300, 5000])):
        copy.write(f"{rng.choice(['golden', 'more', 'x-y'])}/{number}.bin", b"")
    for name in ("a:b", "a\nb", "a\\b", "e\u0301", "\u00e9", " ", "x" * 255):
        if rng.random() < 0.05:
            copy.write(name, b"")
    copy.sign()


SIGNED: dict[str, Callable[[Copy, Random], None]] = {
    "signed: surgery": surgery,
    "signed: contract": contract,
    "signed: paths": paths,
    "signed: swapped files": swapped,
    "signed: arrays": arrays,
    "signed: pictures": pictures,
    "signed: special and huge": claims,
    "signed: many files": many,
    "signed: forgeries": forgeries,
    "unsigned by design: local.json": local,
    "unsigned by design: certificates": certificates,
}
"""Kinds of mutation that get past the integrity check, graphs aside."""
