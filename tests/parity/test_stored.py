"""A proof of one runtime in one precision leaves standing what was proven of the others."""

import json
import shutil

import pytest

from anomedge.bundle import Bundle
from anomedge.commands import verify
from anomedge.errors import OutputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.parity.stored import keep_certificate, stored_certificates
from tests.bundle.exchanging import exchanging, files_of, put_beside
from tests.commands.running import run
from tests.conftest import FRAME, RUNTIMES


@pytest.fixture(scope="module")
def part(model_paths, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "part.anomedge"
    options = ExportOptions(
        frame=FRAME,
        runtimes=RUNTIMES[:1],
        batches=[1],
        precisions=["fp32", "fp16-storage"],
    )
    export(model_paths["padim"], path, options)
    return path


def places(part, name):
    """What the certificates of one name say in all: the newest, and what earlier ones said of other places."""
    contents = [
        json.loads(path.read_bytes())
        for path in (part / "certificates").glob(f"{name}*.json")
    ]
    return {
        (cell["runtime"], cell["precision"])
        for content in contents
        for cell in content["cells"]
    }


def verified(part, name, precision):
    return run(
        "verify",
        part,
        "--name",
        name,
        "--precision",
        precision,
        "--runtime",
        RUNTIMES[0],
        "--batch",
        "1",
    )


def test_each_proof_is_kept_until_it_is_made_again(part, monkeypatch):
    runtime = next(iter(places(part, "host")))[0]
    assert verified(part, "bench", "fp32") == 0
    assert places(part, "bench") == {(runtime, "fp32")}
    assert (
        verified(part, "bench", "fp16-storage")
        == verified(part, "bench", "fp32")
        == 0
    )
    assert places(part, "bench") == {
        (runtime, "fp32"),
        (runtime, "fp16-storage"),
    }
    real = verify.certify

    def flipped(*arguments, **options):
        certificate = real(*arguments, **options)
        cells = tuple(
            cell.model_copy(update={"flips": ("a.png",)})
            for cell in certificate.cells
        )
        return certificate.model_copy(update={"cells": cells})

    monkeypatch.setattr(verify, "certify", flipped)
    assert verified(part, "bench", "fp16-storage") == 3
    assert places(part, "bench") == {(runtime, "fp32")}
    assert verified(part, "bench", "fp32") == 3
    assert not list((part / "certificates").glob("bench*.json"))


def test_one_precision_on_the_host_keeps_the_other(part, model_paths):
    before = places(part, "host")
    assert len(before) == 2
    command = [
        "--precision",
        "fp16-storage",
        "--runtime",
        RUNTIMES[0],
        "--batch",
        "1",
    ]
    assert run("verify", part, "--model", model_paths["padim"], *command) == 0
    assert places(part, "host") == before


def test_the_hosts_certificate_is_eager_torchs_alone(part, capfd):
    assert run("verify", part, "--name", "host") == 2
    assert "that certificate is eager Torch's" in capfd.readouterr().err


def test_a_bundle_exchanged_meanwhile_keeps_its_own_certificates(
    bundle_paths, tmp_path
):
    copy = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], copy)
    other = put_beside(copy, bundle_paths["padim"])
    before, opened = files_of(other), Bundle.open(copy)
    certificate = stored_certificates(opened)[0].certificate
    keep = exchanging(copy, other)(keep_certificate)
    with pytest.raises(OutputError, match="nothing was written into"):
        keep(opened, "host", certificate)
    assert files_of(copy) == before
