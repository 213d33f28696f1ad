"""A stored certificate states everything that a proof of its plan states; nothing may be deleted, renamed or made up."""

import copy as copies
import json
import warnings

import pytest

from anomedge.bundle import Bundle
from anomedge.export.bundling import ExportOptions, export
from anomedge.parity.certificate import Certificate
from anomedge.parity.completeness import missing_parts
from anomedge.parity.stored import stored_certificates, vouching_certificate
from anomedge.parity.tolerances import TOLERANCES
from anomedge.testing import WeakProofWarning, assert_parity
from anomedge.verification import certify, plan_of
from tests.conftest import FRAME, RUNTIMES
from tests.parity.forging import host


def parts(root, content):
    proof = Certificate.from_json(content)
    return list(missing_parts(proof, Bundle.open(root).manifest))


def checks(content, name, runtime=None):
    return [
        check
        for check in content["checks"]
        if check["name"] == name
        and (runtime is None or check["runtime"] == runtime)
    ]


def without(content, *names):
    content["checks"] = [c for c in content["checks"] if c["name"] not in names]


def renamed(content, check_name, **changed):
    for check in checks(content, check_name):
        check.update(changed)


def counted(content, **changed):
    content["pictures"].update(changed)


def celled(content, place=0, **changed):
    content["cells"][place].update(changed)


def moded(content, runtime, precision):
    """Present the rows of a runtime as those of a mode, whose tolerances are wider."""
    content["tolerances"][precision] = TOLERANCES[precision].model_dump()
    for row in (*content["cells"], *content["checks"]):
        if row["runtime"] in (runtime, "bundle"):
            row["precision"] = precision


FORGED = {
    "bundle: not checked: tolerances, graphs, operators and 11 more": lambda c: c.update(checks=[k for k in c["checks"] if k["kind"] != "bundle"]),
    "bundle: not checked: decision": lambda c: without(c, "decision"),
    "bundle: not checked: golden frames": lambda c: without(c, "golden frames"),
    "bundle: not checked: interfaces, opset": lambda c: without(c, "interfaces", "opset"),
    "bundle: not checked: golden statements": lambda c: without(c, "golden statements"),
    "bundle: no proof has the checks 'ranges'": lambda c: renamed(c, "opset", name="ranges"),
    "onnxruntime: not checked: map near the pixel threshold": lambda c: without(c, "map near the pixel threshold"),
    "map near the pixel threshold is off by 5.00e-01; expected 0 to 2.0e-05": lambda c: renamed(c, "map near the pixel threshold", error=0.5, tolerance=1e9),
    "onnxruntime: not checked: rounded": lambda c: without(c, "rounded"),
    "onnxruntime: not checked: preprocessed": lambda c: without(c, "preprocessed"),
    "onnxruntime: not checked: score": lambda c: renamed(c, "score", kind="contract", tolerance=1e9),
    "no proof has the checks 'fine'": lambda c: renamed(c, "rounded", name="fine"),
    "repeated checks: 'rounded'": lambda c: c["checks"].append(checks(c, "rounded")[0]),
    "refuses float frames has an error": lambda c: renamed(c, "refuses float frames", error=0.1, tolerance=1e9),
    "rounded has no error": lambda c: renamed(c, "rounded", error=None),
    "rounded is off by -1.00e+00": lambda c: renamed(c, "rounded", error=-1.0),
    "no digest of model.onnx": lambda c: c["about"]["graphs"].pop("model.onnx"),
    "no digest of stages.onnx": lambda c: c["about"]["graphs"].pop("stages.onnx"),
    "no digest of model.onnx, openvino/model.bin, openvino/model.xml and": lambda c: c["about"].update(graphs={}),
    "states no digest of its pictures": lambda c: c["about"].update(pictures=""),
    "states a model file if": lambda c: c["about"].update(model=None),
    "no picture was compared": lambda c: counted(c, total=0),
    "anomalous is -1": lambda c: counted(c, anomalous=-1),
    "distinct is 10000": lambda c: counted(c, distinct=10_000),
    "of 10000 pictures": lambda c: counted(c, total=10_000),
    "labelled is 1000": lambda c: counted(c, labelled=1000),
    "0 of ": lambda c: celled(c, pictures=0),
    "smallest_margin is -0.5": lambda c: celled(c, smallest_margin=-0.5),
    "nearest is -1": lambda c: counted(c, nearest=-1.0),
    "states sizes of pictures if": lambda c: counted(c, sizes=["64x64"]),
    "above is -1": lambda c: counted(c, above=-1),
    "mask_iou is 7": lambda c: celled(c, mask_iou=7.0),
    "image_auroc is 1.5": lambda c: celled(c, image_auroc=1.5),
    "image_auroc_change is -2": lambda c: celled(c, image_auroc_change=-2.0),
    "openvino: no cell at batch 1": lambda c: c["cells"].remove(next(k for k in c["cells"] if (k["runtime"], k["batch"]) == ("openvino", 1))),
    "openvino: checks without a cell": lambda c: c.update(cells=[k for k in c["cells"] if k["runtime"] != "openvino"]),
    "2 cells; expected one": lambda c: c["cells"].append(c["cells"][0]),
    "not checked: copies at batch 64": lambda c: [celled(c, place, batch=64) for place, cell in enumerate(c["cells"]) if cell["batch"] == 8],
    "no runtime has this name": lambda c: celled(c, runtime="ort: passed\n"),
    "openvino tf32: onnxruntime, tensorrt": lambda c: moded(c, "openvino", "tf32"),
    "onnxruntime bf16: openvino alone": lambda c: moded(c, "onnxruntime", "bf16"),
    "onnxruntime tf32 batch 1: no CPU has this mode": lambda c: moded(c, "onnxruntime", "tf32"),
    "openvino tf32 batch 1: no CPU has this mode": lambda c: moded(c, "openvino", "tf32"),
    "no proof has the reference 'eager torch, 10": lambda c: c.update(reference="eager torch, 10,000 pictures"),
    "the bundle has ": lambda c: c.update(reference="golden frames"),
}  # fmt: skip


@pytest.mark.parametrize("line", FORGED)
def test_a_part_that_is_missing_or_made_up_is_named(copy, line):
    content = host(copy)
    FORGED[line](content)
    assert any(line in part for part in parts(copy, content)), parts(
        copy, content
    )


def test_stages_that_were_examined_are_all_examined(copy):
    content = host(copy)
    row = {
        "runtime": "onnxruntime", "precision": "fp32", "name": "score",
        "error": 0.0, "allowed": 1e-4, "picture": "a.png", "where": "",
        "passed": True,
    }  # fmt: skip
    content["stages"] = [row]
    assert parts(copy, content) == [
        "onnxruntime: examined other stages than the bundle's",
        "onnxruntime: examined stages without a finding",
    ]


def test_checks_that_follow_a_failed_one_may_be_left_out(copy):
    content = host(copy)
    without(content, "opset", "golden statements")
    assert parts(copy, content) != []
    renamed(content, "interfaces", passed=False)
    assert parts(copy, content) == []
    assert not Certificate.from_json(content).passed


def test_ranges_are_checked_where_a_precision_needs_them(copy):
    manifest = Bundle.open(copy).manifest
    fp32 = manifest.variants["fp32"]
    both = {"variants": {"fp32": fp32, "fp16": fp32}}
    proof = Certificate.from_json(host(copy))
    found = list(missing_parts(proof, manifest.model_copy(update=both)))
    assert found == ["bundle: not checked: ranges"]


def test_a_graph_of_a_fixed_batch_has_no_other(copy):
    bundle = Bundle.open(copy)
    fixed = bundle.manifest.input.model_copy(update={"batch": 1})
    manifest = bundle.manifest.model_copy(update={"input": fixed})
    found = list(missing_parts(Certificate.from_json(host(copy)), manifest))
    assert f"{RUNTIMES[0]} batch 8: the bundle's batch is 1" in found


def test_an_incomplete_certificate_fails_and_vouches_for_nothing(copy):
    path = copy / "certificates" / "host.json"
    assert vouching_certificate(Bundle.open(copy)) == "host.json"
    content = host(copy)
    without(content, "golden frames")
    path.write_text(json.dumps(content))
    (stored,) = stored_certificates(Bundle.open(copy))
    assert stored.passed is False
    assert stored.verdict == (
        "FAILED: incomplete: bundle: not checked: golden frames"
    )
    assert vouching_certificate(Bundle.open(copy)) == ""


def test_honest_proofs_are_complete(copy, proven, pictures, runtime):
    manifest = Bundle.open(copy).manifest
    golden = assert_parity(copy, runtime, batches=(1, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakProofWarning)
        alone = assert_parity(copy, images=[pictures / "test"], batches=(2,))
    for proof in (golden, alone, proven(Bundle.open(copy))):
        assert list(missing_parts(proof, manifest)) == []


def test_the_exports_certificate_has_the_rows_of_a_proof_with_the_model(
    copy, proven
):
    def rows(certificate):
        return [
            (c.kind, c.name) for c in certificate.checks if c.runtime in own
        ]

    own = ("bundle", RUNTIMES[0])
    at_one_batch = proven(Bundle.open(copy))
    exported = rows(Certificate.from_json(host(copy)))
    left = [row for row in exported if " at batch " not in row[1]]
    assert sorted(left) == sorted(rows(at_one_batch))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"layout": "anomalib"},
        {"precisions": ["fp32", "fp16", "fp16-storage"], "batches": [1]},
        {"frame": "any", "batches": [1, 2]},
        {"batch": 2},
    ],
)  # fmt: skip
def test_certificates_of_exports_are_complete(model_paths, tmp_path, options):
    given = {"frame": FRAME, "runtimes": RUNTIMES} | options
    path = tmp_path / "part.anomedge"
    proof = export(model_paths["padim"], path, ExportOptions(**given))
    bundle = Bundle.open(path)
    assert list(missing_parts(proof, bundle.manifest)) == []
    (stored,) = stored_certificates(bundle)
    assert stored.passed
    golden = assert_parity(bundle, batches=options.get("batches", ()))
    assert list(missing_parts(golden, bundle.manifest)) == []
    precision = options.get("precisions", ["fp32"])[-1]
    again = certify(
        bundle,
        plan_of(bundle, RUNTIMES, options.get("batches", ()), precision),
        model_paths["padim"],
    )
    assert again.passed
    assert list(missing_parts(again, bundle.manifest)) == []


def test_examined_stages_of_honest_proofs_are_complete(copy):
    from anomedge.parity import prove
    from anomedge.parity.golden import read_golden
    from tests.parity.faulty_stages import plan_of_one

    bundle = Bundle.open(copy)
    proof = prove(
        bundle, read_golden(bundle), plan_of_one(RUNTIMES[0]), stages=True
    )
    assert proof.stages
    assert list(missing_parts(proof, bundle.manifest)) == []


def test_the_limits_of_a_layouts_numbers_are_this_releases(copy):
    """A file's own tolerance of a check is not used."""
    content = host(copy)
    forged = copies.deepcopy(content)
    renamed(forged, "rounded", error=0.5, tolerance=1e9)
    assert parts(copy, content) == []
    assert any("rounded is off by 5.00e-01" in p for p in parts(copy, forged))
