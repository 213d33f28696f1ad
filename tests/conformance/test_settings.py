"""Settings are written for the copy of the bundle and removed again; one bit of the model's files changes."""

import shutil

from anomedge.bundle import Bundle
from anomedge.conformance.settings import SettingsCheck
from tests.conformance.planted import Planted


def test_model_files_change_by_one_bit_and_settings_go(inspector, tmp_path):
    source = inspector.bundle.path
    copy = Bundle.open(shutil.copytree(source, tmp_path / "copy"))
    frame = copy.file(copy.manifest.golden[0].frame)
    client = Planted(inspector)
    answer = client(copy.path, [frame])
    check = SettingsCheck(client, copy, frame, answer)
    assert list(check.findings()) == []
    assert not (copy.path / "local.json").exists()
    for name in ("model.onnx", "openvino/model.bin"):
        pairs = zip(
            (source / name).read_bytes(),
            (copy.path / name).read_bytes(),
            strict=True,
        )
        changed = [(a, b) for a, b in pairs if a != b]
        assert len(changed) == 1
        assert changed[0][0] ^ changed[0][1] == 1
