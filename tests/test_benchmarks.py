"""The comparison with anomalib, without anomalib: arithmetic, text, and transfer of statistics."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def row(**changed):
    from _against.table import Row

    given = {
        "case": "padim",
        "runtime": "onnxruntime",
        "batch": 1,
        "rounds": {
            "ours": [10.0, 20.0, 10.0, 10.0, 10.0],
            "theirs": [15.0, 30.0, 30.0, 15.0, 15.0],
            "backbone": [7.0, 14.0, 7.0, 7.0, 7.0],
            "part": [3.0, 6.0, 1.0, 3.0, 3.0],
        },
        "errors": {"score": 2e-6, "map": 3e-6, "eager": 1e-6},
        "tolerance": 1e-4,
        "bytes": (90_000_000, 180_000_000),
        "peak": (300_000_000, 400_000_000),
        "load": (0.5, 0.25),
    }
    return Row(**(given | changed))


def test_ratios_are_taken_per_round():
    """A slow round slows all members alike; only a member that is slow alone changes its ratio."""
    assert row().ratios == [1.5, 1.5, 3.0, 1.5, 1.5]
    assert row().shares_of_limit == [1.0, 1.0, 1.25, 1.0, 1.0]


def test_a_row_shows_the_measurements():
    from _against.table import table

    cells = [
        cell.strip()
        for cell in table([row()]).splitlines()[-1].strip("|").split("|")
    ]
    assert cells == [
        *(
            "PaDiM ResNet18",
            "ORT",
            "1",
            "10.0",
            "15.0",
            "1.50 (1.50 to 1.50)",
            "10.0 = 7.0 + 3.0",
        ),
        *(
            "1.00 (1.00 to 1.00)",
            "2e-06, 3e-06",
            "90.0 / 180.0 = 0.500",
            "300 / 400 = 0.750",
            "0.50 / 0.25 = 2.000",
        ),
    ]
    header = table([row()]).splitlines()[0]
    assert header.count("|") == len(cells) + 1


def test_few_rounds_have_no_quartiles():
    from _against.table import spread

    assert spread([3.0, 1.0, 2.0]) == "2.00"
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == "3.00 (2.00 to 4.00)"


def test_goals_are_judged():
    from _against.table import goals, judged

    assert {kind: found.met for kind, found in judged(row()).items()} == {
        "ratio": True,
        "limit": True,
        "bytes": True,
    }
    same = {name: [10.0] for name in ("ours", "theirs", "backbone", "part")}
    slower = row(rounds=same, bytes=(100, 181))
    assert goals([slower, row(case="patchcore-1000")]).splitlines()[2:] == [
        "| PaDiM ResNet18 | ORT | 1 | 1.000 >= 1.5 **not met** | 0.500 <= 1.1 met | 0.552 <= 0.55 **not met** |"
    ]
    halved = row(case="padim.fp16-storage", bytes=(29, 100))
    assert (
        goals([halved]).splitlines()[-1]
        == "| PaDiM ResNet18, fp16-storage | ORT | 1 | - | - | 0.290 <= 0.3 met |"
    )


def test_below_the_limit_is_not_at_the_limit():
    from _against.table import judged

    at = {"ours": [10.0], "theirs": [16.0], "backbone": [6.0], "part": [4.0]}
    assert not judged(row(case="patchcore-20000", rounds=at))["limit"].met
    assert judged(row(case="patchcore-20000", rounds=at | {"ours": [9.9]}))[
        "limit"
    ].met
    assert judged(row(case="patchcore-20000", rounds=at))["ratio"].met
    within = {
        "ours": [11.0],
        "theirs": [16.0],
        "backbone": [6.0],
        "part": [4.0],
    }
    assert judged(row(rounds=within))["limit"].met
    assert not judged(row(rounds=within | {"ours": [11.1]}))["limit"].met


def test_values_that_differ_are_marked():
    from _against.table import table

    wrong = row(errors={"score": 1e-6, "map": 2e-4, "eager": 0.0})
    assert not wrong.agrees
    assert "**over**" in table([wrong])
    assert row().agrees
    assert "**over**" not in table([row()])


def test_the_product_is_scaled_to_the_patches_and_the_bank():
    from _against.timing import share_of_product

    assert share_of_product("patchcore-10000", 1) == 1.0
    assert share_of_product("patchcore-1000", 8) == pytest.approx(0.8)
    assert share_of_product("padim", 8) == 1.0


def test_each_batch_has_its_file(tmp_path):
    from _against.files import bytes_of, graph_of

    for name in ("theirs-1", "theirs-8"):
        (tmp_path / "patchcore-1000" / name).mkdir(parents=True)
    found = graph_of("theirs", tmp_path, "patchcore-1000", 8, "openvino")
    assert found == tmp_path / "patchcore-1000" / "theirs-8" / "model.xml"
    found.write_bytes(bytes(10))
    found.with_suffix(".bin").write_bytes(bytes(100))
    (found.parent / "model.onnx").write_bytes(bytes(1000))
    assert bytes_of(found) == 110
    (tmp_path / "padim" / "theirs-any").mkdir(parents=True)
    (tmp_path / "padim" / "ours.fp16-storage").mkdir()
    assert (
        graph_of(
            "theirs", tmp_path, "padim.fp16-storage", 8, "onnxruntime"
        ).parent.name
        == "theirs-any"
    )
    assert (
        graph_of(
            "ours", tmp_path, "padim.fp16-storage", 8, "onnxruntime"
        ).parent.name
        == "ours.fp16-storage"
    )
    assert graph_of("part", tmp_path, "patchcore-1000", 1, "openvino").parts[
        -3:
    ] == (
        "limit-patchcore",
        "part",
        "model.xml",
    )


def by_convolution(grid, mode):
    """Return a map as anomalib does: interpolation, then a Gaussian of 33 x 33 pixels with reflected borders."""
    x = torch.arange(33, dtype=torch.float64) - 16
    kernel = torch.exp(-x.square() / 32)
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    options = {} if mode == "nearest" else {"align_corners": False}
    up = F.interpolate(
        torch.from_numpy(grid), size=(64, 64), mode=mode, **options
    )
    return F.conv2d(
        F.pad(up, (16, 16, 16, 16), mode="reflect"), kernel[None, None]
    ).numpy()


def test_patchcores_maps_are_compared_through_the_distances():
    from _against.agree import compared

    grid = np.random.default_rng(0).random((2, 1, 8, 8))
    score = grid.max(axis=(1, 2, 3))
    nearest, bilinear = (
        by_convolution(grid, "nearest"),
        by_convolution(grid, "bilinear"),
    )
    reference = {"score": score, "map": nearest, "grid": grid}
    theirs = {"score": score, "map": nearest}
    good = compared(
        {"score": score, "anomaly_map": bilinear}, theirs, grid, reference
    )
    assert max(good.values()) < 1e-12
    assert (
        compared(
            {"score": score, "anomaly_map": nearest}, theirs, grid, reference
        )["map"]
        > 1e-3
    )
    other = np.where(np.arange(2)[:, None, None, None] == 0, grid + 0.1, grid)
    assert (
        compared(
            {"score": score, "anomaly_map": bilinear}, theirs, other, reference
        )["map"]
        > 1e-2
    )
    assert (
        compared(
            {"score": score + 0.01, "anomaly_map": bilinear},
            theirs,
            grid,
            reference,
        )["score"]
        > 1e-2
    )


def test_scores_of_another_shape_are_no_agreement():
    from _against.agree import share

    with pytest.raises(ValueError, match=r"got \(4,\) beside \(4, 1\)"):
        share(np.zeros(4), np.arange(4.0)[:, None])


def test_padims_statistics_are_carried_over_in_ascending_channels():
    """Our distances equal the quadratic form of the drawn, unsorted channels."""
    import timm
    from _against.ours import padim

    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([300, 5, 80, 447, 63])
    root = torch.randn(4096, 5, 5, generator=generator)
    state = {
        "idx": drawn,
        "mean": torch.rand(5, 4096, generator=generator),
        "inv_covariance": root.mT @ root + 0.1,
    }
    backbone = timm.create_model(
        "resnet18", features_only=True, out_indices=(1, 2, 3), exportable=True
    ).eval()
    pipeline = padim(
        state
        | {
            f"backbone.{key}": value
            for key, value in backbone.state_dict().items()
        }
    )
    assert pipeline.config.channels == (5, 63, 80, 300, 447)

    images = torch.rand(1, 3, 256, 256, generator=generator)
    mean, std = (
        torch.tensor(x)[:, None, None]
        for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        features = backbone((images - mean) / std)
        found = pipeline.stages(images)["distances"].flatten()
    stacked = torch.cat(
        [F.interpolate(x, size=(64, 64), mode="nearest") for x in features],
        dim=1,
    )
    centred = (
        (stacked[:, drawn].flatten(2) - state["mean"]).permute(2, 0, 1).double()
    )
    expected = (
        ((centred @ state["inv_covariance"].double()) * centred)
        .sum(dim=(1, 2))
        .sqrt()
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_the_environment_is_made_once(tmp_path, monkeypatch):
    from _against import environment

    commands, made = [], []
    monkeypatch.setattr(
        environment.subprocess,
        "run",
        lambda command, **_: commands.append(command),
    )

    def create(folder, **_):
        made.append(folder)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()

    monkeypatch.setattr(environment.sys, "platform", "linux")
    monkeypatch.setattr(environment.venv, "create", create)
    (tmp_path / "pyproject.toml").write_text("[project]")
    python = environment.python_of(tmp_path / "own", tmp_path)
    assert environment.python_of(tmp_path / "own", tmp_path) == python
    assert (len(commands), made) == (1, [tmp_path / "own"])
    assert commands[0][0] == python
    assert "anomalib==2.7.0" in commands[0]
    (tmp_path / "pyproject.toml").write_text("[project] # other needs")
    environment.python_of(tmp_path / "own", tmp_path)
    assert (len(commands), len(made)) == (2, 1)


def trained_from_one_start(seed, ours, theirs):
    """A record of a training whose loss is half of anomalib's."""
    names = ("image", "pixel", "aupro", "f1", "best_f1")
    sides = {
        side: {"figures": dict.fromkeys(names, value), "losses": [9.0, loss]}
        for side, value, loss in (
            ("anomalib", theirs, 4.0),
            ("own defaults", ours, 2.0),
        )
    }
    facts = {"detector": "stfpm", "pictures": "bottle", "seed": seed}
    return facts | {"steps": 2, "factor": 2, "trained": sides}


def test_trainings_from_the_same_start_are_compared_seed_by_seed():
    from _same_start import table

    records = [
        trained_from_one_start(0, ours=0.9, theirs=0.8),
        trained_from_one_start(1, ours=0.6, theirs=0.8),
    ]
    row = table.apart(records).splitlines()[-1]
    assert row.count("-0.050 (-0.200 to +0.100)") == 4
    theirs, ours = table.trained(records).splitlines()[-2:]
    assert "| anomalib | 0.800 (0.800 to 0.800) |" in theirs
    assert "| own defaults | 0.750 (0.600 to 0.900) |" in ours
    assert theirs.endswith("| 4 (4 to 4) |")
    assert ours.endswith("| 4 (4 to 4) |")


def test_weights_are_moved_and_statistics_are_not():
    from _same_start.checkpoints import moved

    tensors = {
        "conv.weight": torch.full((1000,), 2.0),
        "bn.running_var": torch.ones(4),
        "order": torch.arange(4),
    }
    found = moved(tensors, seed=0)
    for name in ("bn.running_var", "order"):
        assert found[name] is tensors[name]
    deviation = (found["conv.weight"].double() / 2 - 1).std().item()
    assert 0.8e-7 < deviation < 1.3e-7


def block(theirs, ours):
    return {"theirs": theirs, "ours": ours}


def test_an_interval_tells_sessions_apart():
    """Rounds of one pair of sessions agree; the interval is as wide as the pairs differ."""
    from _detectors import timing

    pairs = [(0.97, 1.0), (1.0, 1.0), (1.03, 1.0)]
    blocks = [block([a] * 5, [b] * 5) for a, b in pairs]
    assert timing.ratio(blocks) == 1.0
    assert timing.interval(blocks) == (0.97, 1.03)
    assert timing.interval(blocks[:1] * 3) == (0.97, 0.97)


def test_sides_are_timed_in_turns_and_in_both_orders():
    from _detectors import timing

    called = []
    calls = {
        side: lambda side=side: called.append(side) for side in timing.SIDES
    }
    taken = timing._block(calls, iter(range(1000)).__next__, 4)
    assert taken == {"ours": [1] * 4, "theirs": [1] * 4}
    rounds = [tuple(called[i : i + 2]) for i in range(0, len(called), 2)]
    assert set(rounds[::2]) == {("theirs", "ours")}
    assert set(rounds[1::2]) == {("ours", "theirs")}


def test_the_table_of_detectors_has_thresholds_of_equal_data_and_intervals():
    from _detectors import table

    figures = {
        "image": 0.9, "pixel": None, "aupro": None, "f1": 0.5, "best_f1": 0.8,
        "counts": [[1, 14], [20, 40]],
    }  # fmt: skip
    times = {
        "ours": 2.0,
        "theirs": 2.1,
        "ratio": 1.05,
        "low": 1.01,
        "high": 1.08,
    }
    side = {"fit": 3.0, "figures": figures, "f1_of_labels": 0.8}
    runtime = {"times": {"1": times}, "bytes": {"ours": 2e6, "theirs": 3e6}}
    record = {
        "detector": "dfkde", "backbone": "b", "pictures": "cookies", "ours": side,
        "theirs": side | {"errors": {"score": 1e-6, "map": None}, "runtimes": {"openvino": runtime}},
    }  # fmt: skip
    rows = table.figures([record]).splitlines()
    assert "| 0.500 | 1 of 14 | 20 of 40 | 0.800 | 0.800 |" in rows[2]
    assert len({row.count("|") for row in rows}) == 1
    rows = table.imports([record]).splitlines()
    assert "| openvino | 1 | 2.00 | 2.10 | 1.05 (1.01 to 1.08) |" in rows[2]
    assert len({row.count("|") for row in rows}) == 1
    record["theirs"]["runtimes"]["openvino"] = {"failed": "why"}
    rows = table.imports([record]).splitlines()
    assert len({row.count("|") for row in rows}) == 1
    del record["theirs"]["runtimes"]
    rows = table.imports([record]).splitlines()
    assert len({row.count("|") for row in rows}) == 1
    rows = table.figures([record | {"failed": "why"}]).splitlines()
    assert len({row.count("|") for row in rows}) == 1
