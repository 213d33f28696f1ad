"""Triton's model repository: one model per back end, with the types and sizes of the graph."""

import re

from anomedge.serving.triton import Triton


def test_a_model_for_each_back_end(frames, tmp_path):
    Triton.write(frames, tmp_path)
    models = {path.name: path for path in tmp_path.iterdir()}
    backends = ["onnxruntime", "openvino", "tensorrt"]
    assert sorted(models) == [f"part-1-frames-{each}" for each in backends]
    for name, folder in models.items():
        text = (folder / "config.pbtxt").read_text()
        assert f'name: "{name}"' in text
        assert "max_batch_size: 8" in text
        assert "data_type: TYPE_UINT8" in text
        assert "dims: [ 96, 128, 3 ]" in text
        file = re.search(r'default_model_filename: "(.*)"', text)[1]
        is_there = (folder / "1" / file).is_file()
        assert is_there == (not name.endswith("tensorrt"))


def test_brackets_are_balanced_and_the_score_is_reshaped(planes, tmp_path):
    Triton.write(planes, tmp_path)
    for path in tmp_path.glob("*/config.pbtxt"):
        text = path.read_text()
        assert text.count("[") == text.count("]")
        assert text.count("{") == text.count("}")
        score = text[text.index('name: "score"') :]
        assert "reshape { shape: [ ] }" in score.split("}\n]")[0]
        assert "TYPE_FP32" in text
