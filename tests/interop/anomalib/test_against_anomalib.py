"""Import with anomalib installed: small checkpoints, anomalib's own eager model, model file and bundle."""

import warnings
from pathlib import Path

import pytest
import torch

from anomedge.interop.anomalib.with_anomalib import import_with_anomalib
from anomedge.interop.outputs import raw_outputs
from anomedge.pipelines.model import Card, Model, load, save
from tests.interop.anomalib.registered import register

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
# The quick ones; benchmarks/import_anomalib.py runs all.
NAMES = ["Cflow", "Dfkde", "Fastflow", "Ganomaly", "Glass", "Stfpm"]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("anomalib.models")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def importable(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    register(monkeypatch, tmp_path / "site")


def parts(name, folder):
    """Return the case, the file, and anomalib's own model."""
    from _shared.anomalib_checkpoints import CASES, reference, write_checkpoint

    case = CASES[name]
    path = write_checkpoint(case, folder)
    content = torch.load(path, weights_only=False)["state_dict"]
    tensors = {
        key.removeprefix("model."): value
        for key, value in content.items()
        if key.startswith("model.")
    }
    return case, path, reference(case, tensors)


@pytest.mark.parametrize("name", NAMES)
def test_eager_outputs_are_anomalibs_and_survive_the_file(name, tmp_path):
    from _import.generic import _decision, _expected, _frames

    case, path, theirs = parts(name, tmp_path)
    imported = import_with_anomalib(path)
    expected = _expected(case, theirs, _frames(case))
    card = Card(seed=0, fitted=(), weights="none", tools={}, licence={})
    decision = _decision(expected)
    model = Model(imported.pipeline, imported.geometry, decision, card)
    file = tmp_path / "model.safetensors"
    save(model, file)
    images = torch.from_numpy(_frames(case)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        found = load(file).pipeline(images)
    for key, values in expected.items():
        error = abs(getattr(found, key).numpy() - values).max()
        assert error <= 1e-5 * (values.max() - values.min())


def test_cflow_differs_from_anomalib_in_a_batch_only(tmp_path):
    from _shared.anomalib_checkpoints import images

    case, path, theirs = parts("Cflow", tmp_path)
    imported = import_with_anomalib(path)
    pictures = images(3, case.size)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in case.kind.scaling)
    with torch.no_grad():
        ours = imported.pipeline(pictures).score
        together = raw_outputs(theirs((pictures - mean) / std), 3).score
    assert (ours - together).abs().max() > 1e-3
    assert "maxima of each image" in "".join(map(str, imported.taken))


def test_nothing_is_downloaded(tmp_path, monkeypatch):
    import socket

    def refuse(*args, **keywords):
        raise OSError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    _, path, _ = parts("Stfpm", tmp_path)
    assert import_with_anomalib(path).pipeline.config.model == "Stfpm"
