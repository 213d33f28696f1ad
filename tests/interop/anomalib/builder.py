"""Files in the structure of anomalib's, written without anomalib."""

import sys
from types import ModuleType

import timm
import torch
from torch import nn
from torchvision.transforms import v2

SIZE = (32, 48)
CROP = (24, 40)
MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]
LAYERS = {
    "padim": ["layer1", "layer2"],
    "patchcore": ("layer2", "layer3"),
    "stfpm": ["layer1", "layer2", "layer3"],
}
NETWORKS = {"stfpm": ("teacher_model", "student_model")}
PATH = "anomalib.models.image.{0}.lightning_model.{1}"
THRESHOLDS = {
    "_image_threshold": 5.0,
    "_pixel_threshold": float("nan"),
    "image_min": 4.0,
    "image_max": 7.0,
    "pixel_min": 1.0,
    "pixel_max": 7.5,
}


def network(layers, seed=0):
    """A timm network with batch statistics that are not the initial ones."""
    torch.manual_seed(seed)
    stages = [int(layer.removeprefix("layer")) for layer in layers]
    model = timm.create_model(
        "resnet18", pretrained=False, features_only=True, out_indices=stages
    )
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.3, 1.2)
                module.bias.uniform_(-0.3, 0.3)
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def blur_kernel():
    t = torch.arange(33.0) - 16
    row = torch.exp(-0.5 * (t / 4) ** 2)
    kernel = torch.outer(row, row)
    return (kernel / kernel.sum())[None, None]


def statistics(detector, dtype=torch.float32):
    """The tensors of a fitted model besides its backbone."""
    generator = torch.Generator().manual_seed(1)
    if detector == "stfpm":
        return {}
    if detector == "patchcore":
        bank = torch.rand(20, 384, generator=generator)
        return {"memory_bank": bank.to(dtype)}
    idx = torch.randperm(192, generator=generator)[:12]
    mean = torch.rand(12, 96, generator=generator)
    factor = torch.randn(96, 12, 12, generator=generator)
    inverse = factor @ factor.mT + torch.eye(12)
    return {
        "idx": idx,
        "gaussian.mean": mean,
        "gaussian.inv_covariance": inverse,
    }


def model_state(detector, dtype=torch.float32):
    """The state_dict of the torch model."""
    state = statistics(detector, dtype)
    for seed, owner in enumerate(NETWORKS.get(detector, ["feature_extractor"])):
        weights = network(LAYERS[detector], seed).state_dict()
        for name, tensor in weights.items():
            is_float = tensor.is_floating_point()
            state[f"{owner}.feature_extractor.{name}"] = (
                tensor.to(dtype) if is_float else tensor
            )
    if detector == "stfpm":
        return state
    state["anomaly_map_generator.blur.kernel"] = blur_kernel()
    return state


def arguments(detector):
    own = {"backbone": "resnet18", "layers": LAYERS[detector]}
    if detector == "stfpm":
        return own
    if detector == "patchcore":
        return own | {"num_neighbors": 9, "pre_trained": True}
    return own | {"n_features": None, "pre_trained": True}


def spec(name, **values):
    path = f"torchvision.transforms.v2.{name}"
    return {"class_path": path, "init_args": values}


def transform_spec(*extra):
    """The plain data of a transform, as 2.7 stores it."""
    resize = spec(
        "Resize",
        size=list(SIZE),
        interpolation="bilinear",
        max_size=None,
        antialias=True,
    )
    normalize = spec("Normalize", mean=MEAN, std=STD, inplace=False)
    return spec("Compose", transforms=[resize, *extra, normalize])


def transform(*extra):
    return v2.Compose(
        [v2.Resize(SIZE, antialias=True), *extra, v2.Normalize(MEAN, STD)]
    )


def _with_prefix(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def post_processor_state():
    return {name: torch.tensor(value) for name, value in THRESHOLDS.items()}


def _state_of_2(state):
    return (
        {"_is_fitted": torch.tensor([True])}
        | _with_prefix(post_processor_state(), "post_processor.")
        | _with_prefix(state, "model.")
    )


def checkpoint_27(detector, state=None, config=None, **changed):
    """A checkpoint of 2.7, a dict."""
    state = model_state(detector) if state is None else state
    return {
        "epoch": 0,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": _state_of_2(state),
        "optimizer_states": [{}],
        "hyper_parameters": arguments(detector) | changed,
        "anomalib_components_enabled": {"pre_processor": True},
        "anomalib_pre_processor_config": config
        or {"transform": transform_spec()},
        "anomalib_post_processor_config": {
            "enable_threshold_matching": True,
            "image_sensitivity": 0.5,
            "pixel_sensitivity": 0.25,
        },
    }


def checkpoint_2(detector, pre_processor, state=None):
    """A checkpoint of 2.3 to 2.6, a dict."""
    state = model_state(detector) if state is None else state
    components = {"pre_processor": pre_processor, "post_processor": True}
    return {
        "epoch": 0,
        "state_dict": _state_of_2(state),
        "hyper_parameters": components | arguments(detector),
    }


def checkpoint_1(detector, transform=None, validated=True):
    """A checkpoint of 1.2, a dict."""
    infinite = float("inf")
    state = {
        "image_threshold_class": "anomalib.metrics.F1AdaptiveThreshold",
        "_is_fitted": torch.tensor([True]),
        "image_threshold.value": torch.tensor(3.5 if validated else 0.5),
        "pixel_threshold.value": torch.tensor(2.5 if validated else 0.5),
    }
    for name, low, high in (
        ("pred_scores", 1.0, 4.0),
        ("anomaly_maps", 0.5, 5.0),
    ):
        prefix = f"normalization_metrics.{name}."
        low, high = (low, high) if validated else (infinite, -infinite)
        state[prefix + "min"] = torch.tensor(low)
        state[prefix + "max"] = torch.tensor(high)
    return {
        "state_dict": state | _with_prefix(model_state(detector), "model."),
        "hyper_parameters": arguments(detector),
        "transform": transform,
    }


def stand_in(monkeypatch, path, base=nn.Module):
    """A class of a module that is not installed, importable for pickling."""
    module, _, name = path.rpartition(".")
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        package = ".".join(parts[:count])
        if package not in sys.modules:
            monkeypatch.setitem(sys.modules, package, ModuleType(package))
    made = type(name, (base,), {"__module__": module, "__qualname__": name})
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


def pre_processor(monkeypatch, *extra):
    """A PreProcessor object, as 2.3 to 2.6 store it."""
    path = "anomalib.pre_processing.pre_processor.PreProcessor"
    made = stand_in(monkeypatch, path)()
    made.transform = transform(*extra)
    made.export_transform = v2.Compose([v2.Resize(SIZE, antialias=False)])
    return made


def _torch_model(monkeypatch, detector):
    name = detector.capitalize()
    path = f"anomalib.models.image.{detector}.torch_model.{name}Model"
    model = stand_in(monkeypatch, path)()
    path = "anomalib.models.components.feature_extractors.TimmFeatureExtractor"
    model.feature_extractor = stand_in(monkeypatch, path)()
    model.feature_extractor.feature_extractor = network(LAYERS[detector])
    for key, tensor in statistics(detector).items():
        owner, _, leaf = key.rpartition(".")
        if owner and not hasattr(model, owner):
            setattr(model, owner, nn.Module())
        model.get_submodule(owner).register_buffer(leaf, tensor)
    model.register_buffer("cache", torch.zeros(3), persistent=False)
    for key, value in arguments(detector).items():
        setattr(model, key, value)
    return model


def module_2(monkeypatch, detector):
    """An exported torch module of 2.3 to 2.6."""
    name = detector.capitalize()
    whole = stand_in(monkeypatch, PATH.format(detector, name))()
    whole.register_buffer("_is_fitted", torch.tensor([True]))
    whole.pre_processor = pre_processor(monkeypatch)
    path = "anomalib.post_processing.post_processor.PostProcessor"
    whole.post_processor = stand_in(monkeypatch, path)()
    for key, tensor in post_processor_state().items():
        whole.post_processor.register_buffer(key, tensor)
    whole.post_processor.image_sensitivity = 0.5
    whole.model = _torch_model(monkeypatch, detector)
    whole._hparams = {"pre_processor": True} | arguments(detector)
    return {"model": whole}


def module_1(monkeypatch, detector):
    """An exported torch module of 1.2."""
    path = "anomalib.deploy.export.InferenceModel"
    whole = stand_in(monkeypatch, path)()
    whole.model = _torch_model(monkeypatch, detector)
    path = "anomalib.data.transforms.center_crop.ExportableCenterCrop"
    crop = stand_in(monkeypatch, path)()
    crop.size = list(CROP)
    whole.transform = transform(crop)
    metadata = {
        "task": "segmentation",
        "image_threshold": 3.5,
        "pixel_threshold": 2.5,
        "pred_scores.min": 1.0,
        "pred_scores.max": 4.0,
    }
    return {"model": whole, "metadata": metadata}


def saved(content, tmp_path, name="model.ckpt"):
    path = tmp_path / name
    torch.save(content, path)
    return path
