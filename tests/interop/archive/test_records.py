"""Records of names and calls: inert, and printed without their content."""

import torch

from anomedge.interop.archive import Record, open_archive
from anomedge.interop.archive.records import CALL
from tests.interop.archive.making import content_of
from tests.interop.archive.saving import saved


def test_a_module_is_inert_records_with_its_tensors(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    with open_archive(saved(module, tmp_path / "file.pt")) as archive:
        content = archive.content
        assert isinstance(content, Record)
        assert content.path == "torch.nn.modules.container.Sequential"
        linear = content.state["_modules"]["0"]
        assert linear.path == "torch.nn.modules.linear.Linear"
        assert linear.state["out_features"] == 4
        weight = linear.state["_parameters"]["weight"].load()
    assert torch.equal(weight, module[0].weight.data)


def test_names_that_are_not_called_are_marked(tmp_path):
    content = content_of(saved([torch.float16, OSError], tmp_path / "file.pt"))
    assert [record.path for record in content] == [
        "torch.float16",
        "exceptions.OSError",  # its name in Python 2, as protocol 2 writes it
    ]
    assert not any(record.called for record in content)


def test_a_record_has_its_path_and_prints_no_more():
    record = Record("torch.nn", "Linear", (1,))
    record.items.append(record)
    assert record.path == "torch.nn.Linear"
    assert repr(record) == "<Record torch.nn.Linear>"
    assert Record("", CALL, (record,)).path == "<call>"


def test_records_are_equal_only_to_themselves():
    one, other = Record("a", "B"), Record("a", "B")
    assert one != other
    assert len({one, other}) == 2
    assert one.items is not other.items
