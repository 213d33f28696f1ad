"""Quantisation within a budget: layers that destroy decisions stay in float32, and what nothing mends is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from anomedge.errors import InputError, ModelError, ProofFailed
from anomedge.pipelines import Config
from anomedge.pipelines.data import FitData, image_of
from anomedge.pipelines.model import load, save
from anomedge.pipelines.padim import Padim
from anomedge.pipelines.patchcore import Patchcore
from anomedge.pipelines.quantised.network import QuantisedNetwork
from anomedge.pipelines.quantised.options import Budget, QuantiseOptions
from anomedge.pipelines.quantised.quantise import quantise
from anomedge.pipelines.quantised.record import (
    Quantisation,
    float_networks,
    quantised_networks,
)
from anomedge.pipelines.regions import patches_inside
from anomedge.resample import Geometry, Tiling
from tests.pipelines.brightness import (
    Brightness,
    WithoutMap,
    mean_of_channels,
)
from tests.pipelines.levels import LAYERS, SIZE, Levels, fitted
from tests.pipelines.quantised.networks import model_of, pictures

ANY = Budget(10_000, 1.0)


def column(values):
    return torch.tensor(values).reshape(-1, 1, 1)


class Uneven(nn.Module):
    """The first channel of the image, by two layers; the other channels of their inputs may be 10,000 times as large.

    One scale for all channels then leaves nothing of the first one.
    """

    def __init__(self, first=1.0, second=1.0):
        super().__init__()
        self.gains = [column([1.0, gain, gain]) for gain in (first, second)]
        self.first = nn.Conv2d(3, 3, 1, bias=False)
        self.second = nn.Conv2d(3, 1, 1, bias=False)
        self.first.weight.data = torch.diag(1 / self.gains[0].flatten())[..., None, None]  # fmt: skip
        self.second.weight.data = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1)

    def forward(self, x):
        return self.second(self.first(x * self.gains[0]) * self.gains[1])


def options(**more):
    """Normal pictures to calibrate on, and anomalous ones to compare."""
    return QuantiseOptions(pictures(), labelled=pictures(spot=-60), **more)


def brightness(kind=Brightness, network=None):
    network = mean_of_channels() if network is None else network
    made = kind(Config(size=(8, 8)), net=network)
    made.centre.fill_(0.5)
    return made


@pytest.fixture(scope="module")
def quantised():
    return quantise(model_of(brightness()), options())


def test_the_record_states_scales_pictures_and_comparisons(quantised):
    record = quantised.quantisation
    assert set(record.scales["net"]) == {"weight"}
    # The largest value is 136 / 255.
    assert record.scales["net"]["weight"] == 1.5 / 256
    assert (record.pictures, record.flips, record.kept) == (6, 0, {})
    assert record.compared == 12
    assert not record.refitted
    assert record.float_model == "f" * 64
    assert 0 < record.rounding < 1
    assert quantised.decision.origin.carried_by == record.compared


def labels_of(model, shown):
    """Whether the scores of pictures exceed the threshold."""
    frames = np.stack([picture.pixels for picture in shown])
    images = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        return model.pipeline(images).score > model.decision.threshold


def test_labels_of_golden_pictures_are_compared_too():
    golden = pictures(spot=90)
    original = model_of(brightness())
    found = quantise(original, options(proven=golden))
    assert found.quantisation.compared == 12 + len(golden)
    assert torch.equal(labels_of(found, golden), labels_of(original, golden))


def test_values_of_defects_are_calibrated_too():
    normal = quantise(model_of(brightness()), QuantiseOptions(pictures()))
    shown = QuantiseOptions(pictures(), labelled=pictures(spot=100))
    bright = quantise(model_of(brightness()), shown)
    (before,), (after,) = (
        each.quantisation.scales["net"].values() for each in (normal, bright)
    )
    assert after > 1.3 * before
    assert bright.quantisation.flips == 0


def test_from_ten_pictures_synthetic_defects_are_compared_too():
    shown = QuantiseOptions(pictures(10), budget=ANY)
    record = quantise(model_of(brightness()), shown).quantisation
    assert record.compared == 10 + 50


def test_the_float_model_stays_as_it_is():
    model = model_of(brightness())
    before = {n: x.clone() for n, x in model.pipeline.state_dict().items()}
    quantise(model, options())
    after = model.pipeline.state_dict()
    assert all(torch.equal(after[name], x) for name, x in before.items())
    assert model.quantisation is None


def test_a_detector_without_map_is_quantised():
    found = quantise(model_of(brightness(WithoutMap)), options())  # fmt: skip
    assert found.decision.pixel_threshold is None
    assert found.quantisation.flips == 0


def test_a_layer_that_quantisation_destroys_stays_in_float32():
    model = model_of(brightness(network=Uneven(second=1e4)))
    found = quantise(model, options())
    record = found.quantisation
    assert set(record.kept["net"]) == {"second.weight"}
    assert record.kept["net"]["second.weight"] > 0.05
    assert set(record.scales["net"]) == {"first.weight"}
    assert record.fine == {}
    assert record.flips == 0


def test_less_rounding_is_preferred_but_not_required():
    """No choice of layers moves scores by nothing: the one that moves them least is returned."""
    network = Uneven(second=10.0)
    usual, steady = (
        quantise(
            model_of(brightness(network=network)),
            options(budget=Budget(rounding=most)),
        ).quantisation
        for most in (1.0, 0.0)
    )
    assert steady.rounding <= usual.rounding
    assert steady.flips == usual.flips == 0


def test_layers_in_float32_have_finer_grids():
    found = quantise(model_of(brightness(network=Uneven(second=10.0))), options())  # fmt: skip
    record = found.quantisation
    kept = {name: set(products) for name, products in record.kept.items()}
    fine = {n: set(products) for n, products in record.fine.items() if products}
    assert fine == kept


def test_a_layer_with_much_noise_for_its_work_stays_in_float32():
    """Both layers round their inputs alike; the second one has 4 % of the multiplications."""
    spread = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    nn.init.dirac_(spread.weight)
    network = nn.Sequential(spread, mean_of_channels())
    model = model_of(brightness(network=network))
    record = quantise(model, options(budget=ANY)).quantisation
    assert set(record.scales["net"]) == {"0.weight"}
    assert set(record.kept["net"]) == {"1.weight"}
    assert 0 < record.kept["net"]["1.weight"] < 0.1


def test_tiled_statistics_are_estimated_again():
    made, _ = fitted(Padim)
    geometry = Geometry((32, 60), tiling=Tiling(SIZE, 0))
    model = model_of(made, geometry, threshold=1e3)
    shown = pictures(5, (32, 60))
    found = quantise(model, QuantiseOptions(shown, budget=ANY))
    assert found.quantisation.refitted
    assert not torch.equal(found.pipeline.gaussian.mean, made.gaussian.mean)


def test_each_stage_shows_its_progress(monkeypatch):
    from anomedge.pipelines.quantised import compared
    from anomedge.pipelines.quantised import quantise as module

    seen = []

    def tracked(items, description, total):
        seen.append((description, total))
        return iter(items)

    monkeypatch.setattr(compared, "track", tracked)
    monkeypatch.setattr(module, "track", tracked)
    quantise(model_of(brightness()), options())
    kinds = ("normal", "labelled")
    first = "try 1, 0 of 1 layers in float32"
    assert seen == [
        *((f"float detector: scoring {kind} pictures", 1) for kind in kinds),
        *(
            (f"float detector: measuring ranges on {kind} pictures", 1)
            for kind in kinds
        ),
        ("float detector: measuring layers", 1),
        *((f"{first}: scoring {kind} pictures", 1) for kind in kinds),
        ("measuring effects of rounding", 1),
    ]


def test_a_budget_that_nothing_meets_is_refused_with_the_layers():
    model = model_of(brightness(network=Uneven(1e4, 1e4)))
    with pytest.raises(ProofFailed, match="with one of 2 layers") as raised:
        quantise(model, options())
    for named in ("first.weight (", "second.weight (", "--max-flips"):
        assert named in str(raised.value)


def test_the_only_layer_is_named_too():
    made = brightness(network=Uneven(second=1e4))
    made.net.first = nn.Identity()
    with pytest.raises(ProofFailed, match=r"noise: net\.second\.weight \("):
        quantise(model_of(made), options())


def test_no_pictures_and_quantised_models_are_refused(quantised):
    with pytest.raises(InputError, match="no picture to calibrate on"):
        quantise(model_of(brightness()), QuantiseOptions([]))
    with pytest.raises(ModelError, match="quantised already"):
        quantise(quantised, options())


def test_a_network_without_products_is_refused():
    with pytest.raises(
        ModelError, match="without a network that has convolutions"
    ):
        quantise(model_of(brightness(network=nn.Sigmoid())), options())  # fmt: skip


def test_scales_of_another_network_are_refused():
    made = brightness()
    with pytest.raises(ModelError, match="the network other, which brightness"):
        quantised_networks(made, Geometry((8, 8)), {"other": {"weight": 1.0}})


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e300, float("inf")])
def test_scales_that_float32_lacks_are_refused(quantised, scale):
    content = quantised.quantisation.model_dump()
    content["scales"]["net"]["weight"] = scale
    with pytest.raises(ValidationError, match="weight"):
        Quantisation(**content)


def whole(data, made):
    """Float networks as quantised ones without a quantised product."""
    return quantised_networks(made, Geometry(SIZE), {})


def data_of(images, inside=None):
    return FitData([images[:2], images[2:]], size=SIZE, inside=inside)


@pytest.mark.parametrize("masked", [False, True])
def test_padims_statistics_on_unchanged_features_are_the_fitted_ones(masked):
    inside = torch.ones(SIZE, dtype=torch.bool)
    inside[:, :12] = False
    inside = inside if masked else None
    made, images = fitted(Padim, inside=inside)
    found = made.refit(data_of(images, inside), whole(images, made))
    for name, tensor in made.gaussian.state_dict().items():
        assert torch.allclose(found.gaussian.state_dict()[name], tensor, rtol=1e-4, atol=1e-5), name  # fmt: skip
    assert found.gaussian is not made.gaussian
    with torch.no_grad():
        assert torch.allclose(found(images).score, made(images).score, rtol=1e-4)  # fmt: skip


def test_padims_statistics_follow_other_images():
    made, images = fitted(Padim)
    before = made.gaussian.mean.clone()
    found = made.refit(data_of(images / 2), whole(images, made))
    assert not torch.allclose(found.gaussian.mean, made.gaussian.mean)
    assert torch.equal(made.gaussian.mean, before)


@pytest.mark.parametrize("masked", [False, True])
def test_patchcores_bank_holds_the_same_patches(masked):
    inside = torch.ones(SIZE, dtype=torch.bool)
    inside[:, :12] = False
    inside = inside if masked else None
    made, images = fitted(Patchcore, inside=inside, coreset=0.25)
    found = made.refit(data_of(images, inside), whole(images, made))
    kept = made.bank.vectors + made.bank.centre
    renewed = found.bank.vectors + found.bank.centre
    assert torch.allclose(renewed, kept, atol=1e-5)
    assert found.bank is not made.bank


def test_patchcores_bank_moves_with_the_features():
    """Of a network with outputs twice as large, every vector is twice as large."""
    made, images = fitted(Patchcore, coreset=0.25)
    network = whole(images, made)["extractor"]

    class Doubled(nn.Module):
        def forward(self, x):
            return {name: 2 * y for name, y in network(x).items()}

    found = made.refit(data_of(images), {"extractor": Doubled()})
    kept = made.bank.vectors + made.bank.centre
    renewed = found.bank.vectors + found.bank.centre
    assert torch.allclose(renewed, 2 * kept, atol=1e-5)


def test_patchcores_bank_gets_no_patch_outside_the_region():
    """Vectors of a picture that is missing are replaced, too."""
    inside = torch.ones(SIZE, dtype=torch.bool)
    inside[:, :12] = False
    made, images = fitted(Patchcore, inside=inside, coreset=0.5)
    patches = patches_inside(inside, made.patches.grid)
    with torch.no_grad():
        rows = made.patches(made.features(images))[:, patches].flatten(0, 1)

    def farthest(region):
        data = FitData([images[1:]], size=SIZE, inside=region)
        bank = made.refit(data, whole(images, made)).bank
        stored = bank.vectors + bank.centre
        return float(torch.cdist(stored, rows).amin(dim=1).max())

    assert farthest(inside) < 1e-3
    assert farthest(None) > 1e-2


def test_for_other_images_patchcore_selects_its_bank_again():
    made, _ = fitted(Patchcore, coreset=0.25)
    generator = torch.Generator().manual_seed(7)
    images = torch.rand(5, 3, *SIZE, generator=generator)
    found = made.refit(data_of(images), whole(images, made))
    assert found.config.n_vectors == made.config.n_vectors
    stored = found.bank.vectors + found.bank.centre
    with torch.no_grad():
        rows = found.patches(found.features(images)).flatten(0, 1)
    assert torch.cdist(stored, rows).amin(dim=1).max() < 1e-3
    old = made.bank.vectors + made.bank.centre
    assert torch.cdist(stored, old).amin(dim=1).median() > 1e-2


def test_too_few_other_images_for_the_bank_are_refused():
    made, images = fitted(Patchcore, coreset=1.0)
    with pytest.raises(InputError, match="got 80 patches for a bank of 400"):
        made.refit(FitData([1 - images[:1]], size=SIZE), whole(images, made))


@pytest.mark.parametrize("kind", [Padim, Patchcore])
def test_statistics_are_estimated_again_unless_the_options_keep_them(kind):
    made, _ = fitted(kind)
    model = model_of(made, Geometry(SIZE), threshold=1e3)
    shown = pictures(5, SIZE)
    found, kept = (
        quantise(model, QuantiseOptions(shown, refit=refit, budget=ANY))
        for refit in (True, False)
    )
    assert (found.quantisation.refitted, kept.quantisation.refitted) == (
        True,
        False,
    )
    state, own = kept.pipeline.state_dict(), made.state_dict()
    statistics = [n for n in own if not n.startswith("extractor")]
    assert statistics
    assert all(torch.equal(state[name], own[name]) for name in statistics)
    again = found.pipeline.state_dict()
    assert not all(torch.equal(again[n], own[n]) for n in statistics)


@pytest.mark.parametrize("kind", [Padim, Patchcore])
@pytest.mark.parametrize("is_fitted", [True, False])
def test_decisions_on_fitted_pictures_that_were_left_out_are_compared(kind, is_fitted):  # fmt: skip
    shown, geometry = pictures(8, SIZE), Geometry(SIZE)
    images = torch.cat([image_of(each, geometry) for each in shown])
    own = kind.options_class.checked(backbone=Levels(), layers=LAYERS)
    made = kind.fit(FitData([images], size=SIZE), own)
    digests = [str(each.digest) for each in shown] if is_fitted else ()
    model = model_of(made, geometry, digests, threshold=1e3)
    found = quantise(model, QuantiseOptions(shown, budget=ANY))
    assert found.quantisation.compared == (16 if is_fitted else 8)


@pytest.mark.parametrize("imported", [None, "a" * 64])
def test_the_card_names_the_pictures_of_the_statistics(imported):
    """A later evaluation tells which of its pictures the detector knows."""
    made, _ = fitted(Padim)
    model = model_of(made, Geometry(SIZE), ["b" * 64], threshold=1e3)
    fit = ["b" * 64] if imported is None else []
    card = model.card.model_copy(update={"imported": imported, "fitted": fit})
    model = replace(model, card=card)
    shown, others = pictures(5, SIZE), pictures(9, SIZE)[5:]
    given = QuantiseOptions(shown, refit_on=others, budget=ANY)
    found = quantise(model, given).card
    digests = {str(each.digest) for each in others}
    assert found.known == (None if imported else {"b" * 64, *digests})
    kept = quantise(model, replace(given, refit=False)).card
    assert kept == card


def test_tiles_are_quantised():
    geometry = Geometry((8, 16), tiling=Tiling(tile=(8, 8), overlap=0))
    model = model_of(brightness(), geometry)
    shown, bad = pictures(size=(8, 16)), pictures(size=(8, 16), spot=-60)
    found = quantise(model, QuantiseOptions(shown, labelled=bad))
    assert (found.quantisation.flips, found.quantisation.compared) == (0, 12)


@pytest.mark.parametrize("kind", ["padim", "patchcore"])
def test_a_model_file_gives_the_same_quantised_detector(kind, models, pictures, tmp_path):  # fmt: skip
    from anomedge.images import read_folder

    model = models[kind]
    shown = read_folder(pictures / "train")
    made = quantise(model, QuantiseOptions(shown, budget=ANY))
    path = tmp_path / "part.int8.safetensors"
    save(made, path)
    read = load(path)
    assert read.quantisation == made.quantisation
    assert read.decision == made.decision
    images = torch.rand(2, 3, *made.geometry.image)
    with torch.no_grad():
        expected, found = made.pipeline(images), read.pipeline(images)
    assert torch.equal(found.score, expected.score)
    assert torch.equal(found.anomaly_map, expected.anomaly_map)
    assert isinstance(read.pipeline.extractor, QuantisedNetwork)
    again = float_networks(read.pipeline).state_dict()
    own = model.pipeline.extractor.state_dict()
    assert all(torch.equal(again[f"extractor.{n}"], x) for n, x in own.items())
    second = tmp_path / "again.int8.safetensors"
    save(read, second)
    assert second.read_bytes() == path.read_bytes()
