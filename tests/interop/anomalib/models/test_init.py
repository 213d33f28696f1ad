import pytest

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.models import REGISTRY, identified, named

NAMES = [
    "AnomalyDINO", "Cfa", "Cflow", "Csflow", "Dfkde", "Dfm", "Dinomaly", "Draem", "Dsr", "EfficientAd", "Fastflow",
    "Fre", "Ganomaly", "Glass", "InpFormer", "L2BT", "MHPatchcore", "Padim", "Patchcore", "Patchflow", "Rad",
    "ReverseDistillation", "Stfpm", "Supersimplenet", "Uflow", "UniNet",
]  # fmt: skip


def tensors_of(model):
    return [pattern.replace("*", "0.weight") for pattern in model.keys]


def test_list_is_the_directory():
    assert REGISTRY.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_model_is_told_by_its_tensors(name):
    model = REGISTRY.get(name)
    assert identified(tensors_of(model)) is model


def test_models_that_share_tensors_are_told_apart():
    both = tensors_of(REGISTRY.get("Padim")) + tensors_of(REGISTRY.get("Draem"))
    with pytest.raises(ModelError, match=r"\(Draem, Padim\).*give --detector"):
        identified(both)


def test_class_name_of_the_file_selects_among_candidates_only():
    both = tensors_of(REGISTRY.get("Padim")) + tensors_of(REGISTRY.get("Draem"))
    for name in ("DraemModel", "Draem", "draem"):
        assert identified(both, name).name == "Draem"
    with pytest.raises(ModelError, match="several"):
        identified(both, "STFPMModel")
    with pytest.raises(ModelError, match="no known model"):
        identified(["weight"], "os.system")


def test_names_are_found_in_any_case():
    assert named("efficientad").name == "EfficientAd"
    with pytest.raises(InputError, match=r"got the model 'os'.*EfficientAd"):
        named("os")


@pytest.mark.parametrize("name", NAMES)
def test_default_arguments_are_in_range(name):
    REGISTRY.get(name).arguments_class.model_validate({})


@pytest.mark.parametrize("name", NAMES)
def test_classes_are_anomalibs(name):
    model = REGISTRY.get(name)
    assert model.module.startswith("anomalib.models.image.")
    assert model.class_name.isidentifier()
