"""The choice of runtimes and of the reference, before anything runs."""

from types import SimpleNamespace

import pytest

from anomedge.errors import BundleError, InputError
from anomedge.parity import Plan
from anomedge.verification import load_original, plan_of, reference_of
from tests.conftest import RUNTIMES

FIRST = RUNTIMES[0]


def bundle(batch="dynamic", **manifest):
    def variant(precision):
        if precision != "fp32":
            raise BundleError(f"got {precision}")

    manifest = SimpleNamespace(
        input=SimpleNamespace(batch=batch), framing=(8, 12), **manifest
    )
    return SimpleNamespace(
        variant=variant, manifest=manifest, path="part.anomedge"
    )


def test_a_plan_names_every_runtime_once_and_in_full():
    plan = plan_of(bundle(), ["ort", FIRST, "onnxruntime"], [2])
    assert list(plan.runtimes) == list(dict.fromkeys(["onnxruntime", FIRST]))
    assert (plan.batches, plan.precision, plan.widen) == ([2], "fp32", 1)


def test_the_defaults_are_all_runtimes_and_four_batch_sizes():
    plan = plan_of(bundle())
    assert set(RUNTIMES) <= set(plan.runtimes)
    assert plan.batches == [1, 2, 3, 8]
    assert plan_of(bundle(batch=4)).batches == [4]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"names": ["caffe"]}, InputError, "caffe"),
        ({"precision": "fp16"}, BundleError, "fp16"),
        ({"widen": 101}, InputError, "from 1 to 100"),
        ({"threads": 0, "names": [FIRST]}, InputError, "threads=0"),
    ],
)
def test_a_plan_that_cannot_run_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        plan_of(bundle(), **options)


def test_a_batch_size_that_the_graph_lacks_is_refused():
    with pytest.raises(InputError, match=r"got batch sizes \[2\]; expected 4"):
        plan_of(bundle(batch=4), [FIRST], [2, 4])


def test_pictures_without_a_model_need_two_runtimes(tmp_path):
    with pytest.raises(InputError, match="or two runtimes to compare"):
        reference_of(bundle(), Plan([FIRST], [1]), images=[tmp_path])


def original(monkeypatch, **changed):
    """Let the file of a model hold this detector."""
    given = {"name": "padim", "config": {"a": 1}, "geometry": 1, "digest": "x"}
    values = given | {"quantisation": None} | changed
    config = SimpleNamespace(model_dump=lambda mode: values["config"])
    loaded = SimpleNamespace(
        pipeline=SimpleNamespace(name=values["name"], config=config),
        geometry=values["geometry"],
        digest=values["digest"],
        quantisation=values["quantisation"],
    )
    monkeypatch.setattr("anomedge.pipelines.model.load", lambda path: loaded)
    return loaded


def exported(**changed):
    given = {"detector": "padim", "config": {"a": 1}, "geometry": 1}
    return bundle(**given | {"model": "x", "quantisation": None} | changed)


def test_the_model_of_the_bundle_is_loaded_without_a_word(monkeypatch):
    loaded = original(monkeypatch)
    assert load_original(exported(), "m.safetensors") is loaded


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "patchcore"},
        {"config": {"a": 2}},
        {"config": {"a": True}},
        {"config": {"a": 1.0}},
    ],
)
def test_a_model_of_another_detector_is_refused(monkeypatch, changed):
    original(monkeypatch, **changed)
    with pytest.raises(InputError, match="is another detector than part"):
        load_original(exported(), "m.safetensors")


def test_another_file_of_the_same_detector_is_told(monkeypatch):
    loaded = original(monkeypatch, digest="y")
    with pytest.warns(UserWarning, match="is not the file that part"):
        assert load_original(exported(), "m.safetensors") is loaded


def test_the_float_model_of_a_quantised_bundle_is_refused(monkeypatch):
    original(monkeypatch, digest="float")
    stated = SimpleNamespace(float_model="float")
    with pytest.raises(InputError, match=r"give its \.int8\.safetensors file"):
        load_original(exported(quantisation=stated), "m.safetensors")


def test_the_quantised_model_of_a_float_bundle_is_refused(monkeypatch):
    own = SimpleNamespace(float_model="x")
    original(monkeypatch, digest="int8", quantisation=own)
    with pytest.raises(InputError, match="give the file that was quantised"):
        load_original(exported(), "m.int8.safetensors")
