"""`AnomalyModule` under a real Trainer: thresholds and metrics are the whole set's, whatever the batches, devices and
states in between, and what cannot be had is said in one line."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from sklearn.metrics import f1_score, roc_auc_score
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy

from anomedge.components.lightning.evaluation import EvaluationWarning
from anomedge.components.lightning.module import AnomalyModule
from anomedge.errors import InputError
from anomedge.threshold import by_f1, spread

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '.*_dataloader' does not have many workers",  # Lightning's advice; the machine that tests has two cores
    "ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # torch on Lightning's behalf
)


class Brightness(AnomalyModule):
    """The mean over channels is the map; nothing is learned."""

    def __init__(self, maps: bool = True, **options) -> None:
        super().__init__(**options)
        self.maps, self.ran = maps, []

    def training_step(self, *_):
        self.ran.append("training_step")

    def configure_optimizers(self):
        return None

    def validation_step(self, batch, _):
        value = batch["image"].mean(dim=1)
        batch.update(
            {"anomaly_maps": value}
            if self.maps
            else {"pred_scores": value.amax(dim=(1, 2))}
        )
        return batch


class Learning(AnomalyModule):
    """One weight, trained by gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Conv2d(3, 1, 1)

    def training_step(self, batch, _):
        return self(batch["image"]).square().mean()

    def validation_step(self, batch, _):
        return batch | {"anomaly_maps": self(batch["image"])}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def pictures(
    count=24, dtype=torch.float32, masks=True, anomalous=0.4, scale=50.0, seed=0
):
    """Noise of which some has a bright square; scores overlap and lie far outside [0, 1]."""
    random = np.random.default_rng(seed)
    items = []
    for number in range(count):
        image, mask = random.normal(size=(3, 6, 8)) * scale, np.zeros((6, 8))
        label = int(number < anomalous * count)
        if label:
            mask[1:3, 2:5] = 1
            image += mask * scale * random.uniform(0.5, 3)
        item = {
            "image": torch.tensor(image, dtype=dtype),
            "label": torch.tensor(label),
        }
        items.append(
            item
            | ({"mask": torch.tensor(mask, dtype=torch.uint8)} if masks else {})
        )
    random.shuffle(items)
    return items


def loader(items, batch=5):
    return DataLoader(items, batch_size=batch)


def trainer(**options):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", devices=1, **(quiet | options))


def validate(module, items, batch=5):
    return trainer().validate(module, loader(items, batch), verbose=False)[0]


def maps_of(items):
    return np.stack([item["image"].mean(dim=0).numpy() for item in items])


def truth(items):
    return np.array([int(item["label"]) for item in items])


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16]
)
def test_thresholds_and_metrics_are_the_definitions(dtype):
    items, module = pictures(dtype=dtype), Brightness()
    logged = validate(module, items)

    maps = np.stack(
        [item["image"].mean(dim=0).double().numpy() for item in items]
    )
    masks = np.stack([item["mask"].numpy() for item in items])
    for level, values, labels, threshold in (
        ("image", maps.max(axis=(1, 2)), truth(items), module.image_threshold),
        ("pixel", maps.ravel(), masks.ravel(), module.pixel_threshold),
    ):
        cut = by_f1(values[labels == 0], values[labels == 1])
        assert (threshold.value.item(), threshold.margin.item()) == (
            cut.value,
            cut.margin,
        )
        assert logged[f"{level}_AUROC"] == pytest.approx(
            roc_auc_score(labels, values), abs=1e-6
        )
        assert logged[f"{level}_F1Score"] == pytest.approx(
            f1_score(labels, values > cut.value), abs=1e-6
        )
    assert 0.5 < logged["image_AUROC"] < 1, "a set that says something"


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("maps", [True, False])
def test_figures_do_not_depend_on_the_batches(masks, maps):
    items, figures = (
        pictures(masks=masks, scale=0.5),
        [],
    )  # some batches within [0, 1], some not
    for batch in (1, 5, len(items)):
        module = Brightness(maps=maps)
        logged = validate(module, items, batch)
        figures.append((logged, module.decision()))
        assert ("pixel_AUROC" in logged) == (masks and maps)
    assert figures[0] == figures[1] == figures[2]


def test_without_masks_the_pixel_threshold_is_the_images():
    module = Brightness()
    validate(module, pictures(masks=False))
    assert module.pixel_threshold.value == module.image_threshold.value != 0.5


def test_test_keeps_the_thresholds_of_validation():
    module, others = Brightness(), pictures(seed=7)
    validate(module, pictures())
    before = (
        module.image_threshold.value.item(),
        module.pixel_threshold.value.item(),
    )
    logged = trainer().test(module, loader(others), verbose=False)[0]
    assert before == (
        module.image_threshold.value.item(),
        module.pixel_threshold.value.item(),
    )
    calls = maps_of(others).max(axis=(1, 2)) > before[0]
    assert logged["image_F1Score"] == pytest.approx(
        f1_score(truth(others), calls), abs=1e-6
    )
    assert set(logged) == {
        "image_AUROC",
        "image_F1Score",
        "pixel_AUROC",
        "pixel_F1Score",
    }


def test_given_thresholds_hold_when_not_adaptive():
    items, module = (
        pictures(),
        Brightness(adaptive_threshold=False, default_image_threshold=70.0),
    )
    logged = validate(module, items)
    assert (
        module.image_threshold.value.item(),
        module.pixel_threshold.value.item(),
    ) == (70.0, 0.5)
    calls = maps_of(items).max(axis=(1, 2)) > 70
    assert logged["image_F1Score"] == pytest.approx(
        f1_score(truth(items), calls), abs=1e-6
    )
    with pytest.raises(
        InputError,
        match=r"threshold of 70 that no validation computed.*adaptive_threshold=True",
    ):
        module.decision()


def test_predict_adds_labels_and_masks():
    items, module = pictures(), Brightness()
    validate(module, items)
    unlabelled = [{"image": item["image"]} for item in items]
    outputs = trainer().predict(module, loader(unlabelled))
    called = torch.cat([output["pred_labels"] for output in outputs])
    masks = torch.cat([output["pred_masks"] for output in outputs])
    decision = module.decision()
    np.testing.assert_array_equal(
        called, decision.is_anomalous(maps_of(items).max(axis=(1, 2)))
    )
    np.testing.assert_array_equal(masks, decision.mask(maps_of(items)))
    assert called.any() and not called.all()


def test_batches_are_not_written_to():
    module, batch = Brightness(), next(iter(loader(pictures())))
    before = {key: value.clone() for key, value in batch.items()}
    for step in (module.predict_step, module.test_step):
        assert set(step(batch, 0)) == {
            *batch,
            "anomaly_maps",
            "pred_scores",
            "pred_labels",
            "pred_masks",
        }
    output = {
        "anomaly_maps": torch.rand(2, 1, 4, 4),
        "label": torch.tensor([0, 1]),
    }
    assert "pred_scores" in module.validation_step_end(output)
    assert set(output) == {"anomaly_maps", "label"}
    assert set(batch) == set(before)
    assert all(torch.equal(batch[key], before[key]) for key in batch)


def test_images_are_let_go_and_nothing_grows():
    module, held = Brightness(), []
    module.on_validation_epoch_end, original = (
        lambda: (
            held.append([set(output) for output in module._outputs])
            or original()
        ),
        module.on_validation_epoch_end,
    )
    for _ in range(3):
        validate(module, pictures())
    assert (
        held[0]
        == held[1]
        == held[2]
        == [{"label", "pred_scores", "mask", "anomaly_maps"}] * 5
    )
    assert module._outputs == []
    states = [module.image_threshold.scores, module.pixel_threshold.scores]
    states += [
        metrics["AUROC"].preds
        for metrics in (module.image_metrics, module.pixel_metrics)
    ]
    assert states == [[], [], [], []]


def test_an_interrupted_epoch_leaves_nothing():
    class Stumbling(Brightness):
        def validation_step(self, batch, batch_idx):
            if batch_idx == 2 and not self.ran:
                self.ran.append("stumbled")
                raise ValueError("stumbled")
            return super().validation_step(batch, batch_idx)

    items, module, whole = pictures(), Stumbling(), Brightness()
    with pytest.raises(ValueError, match="stumbled"):
        validate(module, items)
    assert validate(module, items) == validate(whole, items)
    assert module.decision() == whole.decision()


@pytest.mark.filterwarnings(
    "ignore:`training_step` returned `None`"
)  # fitting without gradients, on purpose
@pytest.mark.filterwarnings(
    "ignore:`LightningModule.configure_optimizers` returned `None`"
)
def test_fit_without_gradients_validates_each_epoch():
    module, once = Brightness(), Brightness()
    trainer(max_epochs=2).fit(
        module, loader(pictures()[:5]), loader(pictures())
    )
    validate(once, pictures())
    assert module.ran == ["training_step", "training_step"]
    assert module.decision() == once.decision()


def test_the_sanity_check_judges_nothing(recwarn):
    class Recording(Learning):
        def _compute_adaptive_threshold(self, outputs):
            seen.append(len(outputs))
            super()._compute_adaptive_threshold(outputs)

    seen, normal_first = (
        [],
        sorted(pictures(), key=lambda item: int(item["label"])),
    )
    trainer(max_epochs=1, log_every_n_steps=1).fit(
        Recording(), loader(pictures()), loader(normal_first)
    )
    assert seen == [5]
    assert not [
        warning for warning in recwarn if warning.category is EvaluationWarning
    ]


def test_fast_dev_run():
    trainer(fast_dev_run=True).fit(
        Learning(), loader(pictures(), 24), loader(pictures(), 24)
    )


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists")
def test_a_checkpoint_keeps_the_decision(tmp_path):
    items, module = pictures(), Learning()
    running = trainer(
        max_epochs=1,
        enable_checkpointing=True,
        default_root_dir=tmp_path,
        log_every_n_steps=1,
    )
    running.fit(module, loader(items), loader(items))
    path = tmp_path / "last.ckpt"
    running.save_checkpoint(path)
    loaded = Learning.load_from_checkpoint(path)
    assert loaded.decision() == module.decision()
    before = running.validate(module, loader(items), verbose=False)
    # Into the very module that has validated: its buffers must not be inference tensors.
    assert (
        running.test(module, loader(items), ckpt_path=path, verbose=False)
        == before
    )
    assert trainer().test(loaded, loader(items), verbose=False) == before


def test_state_dict_loads_into_a_fresh_module_and_from_anomalib():
    module = Brightness()
    validate(module, pictures())
    fresh = Brightness()
    fresh.load_state_dict(module.state_dict())
    assert fresh.decision() == module.decision()

    theirs = {
        f"{level}_threshold.value": torch.tensor(3.25)
        for level in ("image", "pixel")
    }
    theirs |= {
        "min_max.min": torch.tensor(0.0),
        "min_max.max": torch.tensor(9.0),
    }
    fresh.load_state_dict(theirs)
    assert (
        fresh.image_threshold.value.item(),
        fresh.pixel_threshold.value.item(),
    ) == (3.25, 3.25)
    assert set(theirs) == {
        "image_threshold.value",
        "pixel_threshold.value",
        "min_max.min",
        "min_max.max",
    }
    with pytest.raises(InputError, match="no validation computed"):
        fresh.decision()


def test_decision_carries_the_sample():
    items, module = pictures(), Brightness()
    validate(module, items)
    scores, labels = (
        maps_of(items).max(axis=(1, 2)).astype(np.float64),
        truth(items),
    )
    decision = module.decision(source="line 3", pictures="f" * 64)
    assert (decision.minimum, decision.maximum) == (scores.min(), scores.max())
    assert decision.scale == spread(scores[labels == 0])
    origin = decision.origin
    assert (origin.rule, origin.rate, origin.extrapolated) == (
        "f1",
        None,
        False,
    )
    assert (origin.normal, origin.anomalous) == (
        (labels == 0).sum(),
        labels.sum(),
    )
    assert (origin.source, origin.pictures) == ("line 3", "f" * 64)


def test_all_normal_lies_above_the_largest_and_says_so():
    items, module = pictures(anomalous=0), Brightness()
    with pytest.warns(EvaluationWarning) as caught:
        assert validate(module, items) == {}
    scores = maps_of(items).max(axis=(1, 2)).astype(np.float64)
    gap = np.ptp(scores) / (len(scores) - 1)
    assert module.image_threshold.value.item() == pytest.approx(
        scores.max() + gap
    )
    assert {str(warning.message) for warning in caught} >= {
        "got 24 normal and 0 anomalous scores at image level; expected both kinds, differing: the threshold lies one "
        "typical gap above the largest score; validate with labelled pictures of both",
        "got labels of one kind only; expected normal and anomalous ones for image_AUROC, image_F1Score: not logged",
    }
    origin = module.decision().origin
    assert (origin.rule, origin.rate, origin.extrapolated) == (
        "false-alarm-rate",
        1 / 25,
        True,
    )


def test_steps_that_return_nothing_are_said():
    class Silent(Brightness):
        def validation_step(self, *_):
            return None

    with pytest.warns(
        EvaluationWarning, match="got no output of Silent's steps"
    ):
        validate(Silent(), pictures())


def test_several_loaders_are_pooled():
    class Two(Brightness):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):  # noqa: ARG002 - Lightning asks for the name
            return super().validation_step(batch, batch_idx)

    module, whole, items = Two(), Brightness(), pictures()
    trainer().validate(
        module, [loader(items[:11]), loader(items[11:])], verbose=False
    )
    validate(whole, items)
    assert module.decision() == whole.decision()


def test_other_metrics_may_be_collected():
    class Counted(BinaryAccuracy):
        def update(self, preds, target):
            super().update((preds > 70).int(), target)

    module, items = Brightness(adaptive_threshold=False), pictures()
    module.image_metrics = MetricCollection(
        {"accuracy": Counted()}, prefix="my_"
    )
    expected = ((maps_of(items).max(axis=(1, 2)) > 70) == truth(items)).mean()
    assert validate(module, items)["my_accuracy"] == pytest.approx(expected)


def test_hyperparameters_are_kept_but_not_modules(tmp_path):
    class Given(Brightness):
        def __init__(self, network, size=3, **options):
            super().__init__(**options)
            self.model, self.size = network, size

    module = Given(
        torch.nn.Conv2d(3, 1, 1), size=7, default_image_threshold=2.0
    )
    assert (
        module.hparams["size"] == 7
        and module.hparams["default_image_threshold"] == 2.0
    )
    assert not [
        value
        for value in module.hparams.values()
        if isinstance(value, torch.nn.Module)
    ]
    running = trainer()
    running.validate(module, loader(pictures()), verbose=False)
    running.save_checkpoint(tmp_path / "given.ckpt")
    loaded = Given.load_from_checkpoint(
        tmp_path / "given.ckpt", network=torch.nn.Conv2d(3, 1, 1)
    )
    assert loaded.size == 7
    assert torch.equal(loaded.model.weight, module.model.weight)


def test_forward_asks_the_model():
    module = Learning()
    image = torch.rand(2, 3, 4, 4)
    assert torch.equal(module(image), module.model(image))


def test_the_old_epoch_end_is_refused_by_lightning_by_name():
    class Old(Brightness):
        def validation_epoch_end(self, _):
            return None

    with pytest.raises(NotImplementedError, match="on_validation_epoch_end"):
        validate(Old(), pictures())
