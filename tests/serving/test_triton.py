"""Triton's model repository: one model per back end, with the types and sizes of the graph."""

import re

from anomedge.serving.triton import Triton


def test_a_model_for_each_back_end(frames, tmp_path):
    Triton.write(frames, tmp_path)
    repositories = sorted(path.name for path in tmp_path.iterdir())
    assert repositories == ["onnxruntime", "openvino", "tensorrt"]
    for backend in repositories:
        (folder,) = (tmp_path / backend).iterdir()
        assert folder.name == f"part-1-frames-{backend}"
        text = (folder / "config.pbtxt").read_text()
        assert f'name: "{folder.name}"' in text
        assert f'backend: "{backend}"' in text
        assert "data_type: TYPE_UINT8" in text
        file = re.search(r'default_model_filename: "(.*)"', text)[1]
        assert (folder / "1" / file).is_file() == (backend != "tensorrt")


def test_an_open_batch_is_stated_as_each_back_end_takes_it(frames, tmp_path):
    Triton.write(frames, tmp_path)
    for path in tmp_path.glob("*/*/config.pbtxt"):
        text = path.read_text()
        if 'backend: "openvino"' in text:
            assert "max_batch_size: 0" in text
            assert "dims: [ -1, 96, 128, 3 ]" in text
            assert "dims: [ -1 ]" in text
            assert "KIND_CPU" in text
            assert "dynamic_batching" not in text
        else:
            assert "max_batch_size: 8" in text
            assert "dims: [ 96, 128, 3 ]" in text


def test_the_note_on_the_engine_finds_the_graph(frames, tmp_path):
    Triton.write(frames, tmp_path)
    (folder,) = (tmp_path / "tensorrt").iterdir()
    text = (folder / "config.pbtxt").read_text()
    assert (folder / re.search(r"--onnx=(\S+)", text)[1]).is_file()


def test_brackets_are_balanced_and_the_score_is_reshaped(planes, tmp_path):
    Triton.write(planes, tmp_path)
    texts = tmp_path.glob("*/*/config.pbtxt")
    for path in texts:
        text = path.read_text()
        assert text.count("[") == text.count("]")
        assert text.count("{") == text.count("}")
        score = text[text.index('name: "score"') :]
        is_reshaped = "reshape { shape: [ ] }" in score.split("}\n]")[0]
        assert is_reshaped == ("max_batch_size: 8" in text)
        assert "TYPE_FP32" in text
