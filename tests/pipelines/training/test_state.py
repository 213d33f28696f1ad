"""The stored state of a training: read back as it was, refused in one line where it is damaged or hostile."""

import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from anomedge.errors import InputError, ModelError
from anomedge.files import canonical_json
from anomedge.pipelines.training.state import _KEY, _digest, read_state
from tests.pipelines.training.detectors import same_tensors, trained


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    trained(path, epochs=2)
    return path


@pytest.fixture
def state(stored, tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(stored.read_bytes())
    return path


def resumed(state):
    return trained(state, epochs=2, resume=True)


def refusal_of(state):
    with pytest.raises((ModelError, InputError)) as refused:
        resumed(state)
    message = str(refused.value)
    assert "\n" not in message
    return message


def rewritten(state, change):
    """Change JSON and tensors of a state, with a right SHA-256."""
    with safe_open(state, "pt") as file:
        content = json.loads(file.metadata()[_KEY])
    tensors = load_file(state)
    change(content, tensors)
    content["digest"] = _digest(content, tensors)
    text = canonical_json(content).decode()
    save_file(tensors, state, metadata={_KEY: text})


def test_a_state_is_read_as_it_was_written(state):
    read = read_state(state)
    assert read.losses.epochs == 2
    assert read.identity.detector == "mean-test"
    assert read.identity.options["epochs"] == "2"
    names = {name.split(".")[0] for name in read.tensors}
    assert names == {"model", "optimiser", "random"}
    assert "model.frozen.weight" not in read.tensors
    assert "model.learner.1.running_mean" in read.tensors
    assert same_tensors(resumed(state), trained(epochs=2))


def test_equal_trainings_store_equal_bytes(stored, tmp_path):
    trained(tmp_path / "state.safetensors", epochs=2)
    assert (tmp_path / "state.safetensors").read_bytes() == stored.read_bytes()


def test_no_pickle_and_no_other_file_is_written(stored):
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


@pytest.mark.parametrize("length", [0, 7, 8, 300, -1])
def test_a_truncated_state_is_refused(state, length):
    whole = state.read_bytes()
    state.write_bytes(whole[:length])
    assert "no whole state of a training" in refusal_of(state)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_changed_byte_is_refused(state, share):
    content = bytearray(state.read_bytes())
    content[int(share * len(content))] ^= 1
    state.write_bytes(bytes(content))
    assert "no whole state of a training" in refusal_of(state)


def test_a_header_of_any_length_takes_no_memory(state):
    state.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    assert "does not begin as one" in refusal_of(state)


def test_stated_sizes_take_no_memory(state):
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    with safe_open(state, "pt") as file:
        metadata = file.metadata()
    header = json.dumps({"__metadata__": metadata, "model.x": entry}).encode()
    state.write_bytes(struct.pack("<Q", len(header)) + header)
    assert "got 0 bytes of tensors" in refusal_of(state)


def test_links_to_devices_and_folders_are_refused(state, tmp_path):
    state.unlink()
    state.mkdir()
    assert "no plain file" in refusal_of(state)


def without(name):
    return lambda _, tensors: tensors.pop(name)


def with_tensor(name, tensor):
    return lambda _, tensors: tensors.update({name: tensor})


def with_plain(name, value):
    return lambda content, _: content["plain"].update({name: value})


def with_group(name, value):
    return lambda content, _: content["plain"]["groups"][0].update(
        {name: value}
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without("model.learner.0.weight"), "learner.0.weight first of 1"),
        (with_tensor("model.more", torch.zeros(3)), "more first of 1"),
        (with_tensor("model.finished", torch.zeros(9)), "finished is (9,)"),
        (with_tensor("random.cpu", torch.zeros(4)), "cpu is (4,)"),
        (with_tensor("optimiser.0.exp_avg", torch.zeros(9)), "0.exp_avg is"),
        (with_tensor("optimiser.99.exp_avg", torch.zeros(9)), "'99.exp_avg'"),
        (with_tensor("best.more", torch.zeros(3)), "stored tensors are others"),
        (with_plain("groups", []), "the stored optimiser is another one"),
        (with_plain("groups", None), "the stored optimiser is another one"),
        (with_plain("schedule", {}), "the stored schedule is another one"),
        (with_plain("numbers", 3), "cannot be used"),
        (with_group("lr", "high"), "the stored optimiser is another one"),
        (with_group("params", [0]), "the stored optimiser is another one"),
        (with_group("params", [0, 1, 2, 99]), "optimiser is another one"),
        (
            lambda content, _: content["losses"].update(trained=[]),
            "losses of its epochs",
        ),
        (
            lambda content, _: content["losses"].update(trained=["low"]),
            "losses.trained.0",
        ),
        (lambda content, _: content.update(schema_version=2), "schema_version"),
    ],
)
def test_a_hostile_state_is_refused(state, change, named):
    rewritten(state, change)
    assert named in refusal_of(state)
