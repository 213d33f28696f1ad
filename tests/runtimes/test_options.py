import pytest

from anomedge import runtimes
from anomedge.errors import DeviceMismatch, InputError
from anomedge.runtimes import Options, options_for, registry

ALL = registry.names()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threads": 0}, "got threads=0; expected greater than or equal to 1"),
        ({"threads": 1025}, "expected less than or equal to 1024"),
        ({"batches": (1, 9, 8)}, "expected smallest <= typical <= largest"),
        ({"batches": (0, 1, 8)}, "expected smallest <= typical <= largest"),
        ({"thread": 2}, r"got options \['thread'\]; expected some of: batches"),
    ],
)
@pytest.mark.parametrize("name", ALL)
def test_common_options_are_checked_in_every_runtime(name, wrong, message):
    with pytest.raises(InputError, match=message):
        options_for(registry.get(name), **wrong)


def test_every_option_has_a_help_text():
    for runtime in runtimes.available().values():
        for name, field in runtime.Options.model_fields.items():
            assert field.description, f"{runtime.name}: {name}"


def test_options_are_refused_by_every_runtime_without_them():
    fields = {
        name: runtime.Options.model_fields.keys()
        for name, runtime in runtimes.available().items()
    }
    every = set().union(*fields.values())
    refused = 0
    for name, own in fields.items():
        for option in every - own:
            takers = [other for other in fields if option in fields[other]]
            expected = f"{name} takes no option {option}; .*{', '.join(takers)}"
            with pytest.raises(InputError, match=expected):
                options_for(registry.get(name), **{option: True})
            refused += 1
    assert refused >= 9


@pytest.mark.parametrize("mode", ["bf16", "tf32"])
@pytest.mark.parametrize("name", ALL)
def test_a_mode_is_the_fp32_variant_with_an_option(name, mode):
    runtime = registry.get(name)
    takes_mode = name in runtimes.precision_modes()[mode]
    assert takes_mode == (mode in runtime.Options.model_fields)
    if takes_mode:
        options = options_for(runtime, precision=mode)
        assert (options.precision, getattr(options, mode)) == ("fp32", True)
    else:
        with pytest.raises(InputError, match=f"got precision {mode}, a mode"):
            options_for(runtime, precision=mode)


def test_options_of_another_class_are_refused_before_opening(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    with pytest.raises(TypeError, match=r"use anomedge\.runtimes\.options_for"):
        registry.get("ov").from_file(path, Options())


def test_no_device_means_the_runtime_s_default():
    assert {
        name: runtime.default_device
        for name, runtime in runtimes.available().items()
    } == {
        "onnxruntime": "cpu",
        "openvino": "cpu",
        "tensorrt": "gpu",
        "tensorrt-rtx": "gpu",
    }
    assert Options().device is None


def test_a_cpu_is_refused_by_runtimes_on_gpus():
    for name in ("tensorrt", "tensorrt-rtx"):
        with pytest.raises(
            DeviceMismatch, match="got device 'cpu'; expected gpu, cuda"
        ):
            registry.get(name).check_device("cpu")
