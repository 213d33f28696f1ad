import pytest
import torch
from torch import nn

from anomedge.components import PCA, DynamicBufferModule, GaussianKDE
from anomedge.errors import InputError


class Table(DynamicBufferModule):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.empty(0))
        self.register_buffer("halves", torch.zeros(2, dtype=torch.float16))
        self.register_buffer("derived", torch.zeros(3), persistent=False)
        self.register_buffer("absent", None)
        self.name = "a table"


def test_tensors_by_name():
    module = Table()
    assert module.get_tensor_attribute("halves") is module.halves
    for error in (ValueError, InputError):
        with pytest.raises(
            error,
            match="Attribute with name 'name' is not a torch Tensor: got str",
        ):
            module.get_tensor_attribute("name")
    with pytest.raises(AttributeError):
        module.get_tensor_attribute("nothing")


def test_buffers_take_the_loaded_size_and_an_empty_one_its_precision():
    module = Table()
    held = module.halves
    loaded = {
        "table": torch.rand(3, 4, dtype=torch.float64),
        "halves": torch.ones(5),
    }
    module.load_state_dict(loaded)
    assert torch.equal(module.table, loaded["table"])
    assert module.table.data_ptr() != loaded["table"].data_ptr()
    assert (module.halves.dtype, module.halves.tolist()) == (
        torch.float16,
        [1.0] * 5,
    )
    assert held.tolist() == [0.0, 0.0]
    assert module.derived.shape == (3,)


def test_a_name_that_only_begins_alike_is_left_alone():
    module = nn.ModuleDict({"a": Table(), "ab": Table()})
    state = {
        "a.table": torch.ones(2),
        "a.halves": torch.ones(1),
        "ab.table": torch.ones(7),
        "ab.halves": torch.ones(3),
    }
    module.load_state_dict(state)
    assert [tuple(x.shape) for x in module.state_dict().values()] == [
        (2,),
        (1,),
        (7,),
        (3,),
    ]
    with pytest.raises(RuntimeError, match="Unexpected key"):
        module.load_state_dict({**state, "a.table.more": torch.ones(9)})


def test_loading_into_no_memory_by_assignment():
    with torch.device("meta"):
        module = Table()
    module.load_state_dict(
        {"table": torch.ones(2, 2), "halves": torch.ones(4)}, assign=True
    )
    assert module.table.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_fitted_module_takes_a_state_of_another_size():
    data = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    for make in (lambda: PCA(2), GaussianKDE):
        small, large = make(), make()
        small.fit(data[:12, :3])
        large.fit(data)
        small.load_state_dict(large.state_dict())
        assert torch.equal(small(data), large(data))
