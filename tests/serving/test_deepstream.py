"""nvinfer's configuration: as an INI parser reads it, with the input of the graph."""

import configparser
import dataclasses

import pytest

from anomedge.errors import InputError
from anomedge.serving.deepstream import DeepStream


def properties(folder):
    parser = configparser.ConfigParser()
    parser.read(folder / "nvinfer.txt")
    return dict(parser["property"])


def test_the_configuration_states_the_graphs_input(planes, tmp_path):
    DeepStream.write(planes, tmp_path)
    found = properties(tmp_path)
    assert (tmp_path / found["onnx-file"]).is_file()
    assert found["infer-dims"] == "3;96;128"
    assert found["model-color-format"] == "1"
    assert float(found["net-scale-factor"]) == 1
    assert found["output-blob-names"] == "score;anomaly_map"
    assert (found["batch-size"], found["network-mode"]) == ("8", "0")


def test_other_precisions_are_refused(planes, tmp_path):
    half = dataclasses.replace(planes, precision="fp16")
    with pytest.raises(InputError, match="got precision fp16 for deepstream"):
        DeepStream.write(half, tmp_path)
