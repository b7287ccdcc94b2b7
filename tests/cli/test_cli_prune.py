"""`seyolo prune`: budgets met, plans looked at, edited and applied, and whatever cannot be cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from helpers.running import MODEL, Run, assert_refused
from helpers.spot_detector import spot_detector, write_spots
from helpers.timings import timings
from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.cost import cost
from seyolo.opening.network import save
from seyolo.torchnet.build import build


@pytest.fixture
def quick_tables(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Latency is learned from a few cuts, and written into a cache of its own."""
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("seyolo.pruning.planning.latency.NUM_CUTS", 8)


def test_prune_meets_its_budget_and_writes_its_plan(
    run: Run, checkpoint: Path, hands: Path, tmp_path: Path
) -> None:
    outcome = run(
        "prune", checkpoint, "slim.safetensors", "--budget", "macs=60%", "--budget", "params=90%",
        "--multiple", 2, "--data", hands, "--json", "-",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    plan = json.loads(outcome.out)
    assert plan == json.loads((tmp_path / "slim.plan.json").read_text())
    dense, slim = (
        json.loads(run("info", model, "--json", "-").out) for model in (checkpoint, "slim.safetensors")
    )
    assert slim["macs"] == plan["macs"] <= 0.6 * dense["macs"]
    assert slim["params"] == plan["params"] <= 0.9 * dense["params"]
    assert set(plan["groups"][0]) == {"layers", "kept", "removed"}


def test_repairs_change_what_they_say_and_nothing_else(
    run: Run, checkpoint: Path, hands: Path, tmp_path: Path
) -> None:
    common = ["--budget", "channels=20%", "--scope", "plain", "--multiple", "1", "--importance", "bn"]
    outcome = run("prune", checkpoint, "a.safetensors", *common)
    cuts = [cut for cut in json.loads((tmp_path / "a.plan.json").read_text())["groups"] if cut["prunable"]]
    kept, removed = (sum(len(cut["layers"]) * len(cut[key]) for cut in cuts) for key in ("kept", "removed"))
    assert f"channels that may be pruned {kept + removed} {kept} " in " ".join(outcome.out.split())
    with_data = ["--data", hands, "--repair"]
    assert run("prune", checkpoint, "b.safetensors", *common, *with_data, "recalibrate").code == 0
    assert run("prune", checkpoint, "c.safetensors", *common, *with_data, "reconstruct").code == 0
    assert run("prune", checkpoint, "d.safetensors", *common, *with_data, "none").code == 0
    plain, fresh, fitted, same = (read_checkpoint(tmp_path / f"{name}.safetensors").state for name in "abcd")

    def changed(state: dict[str, np.ndarray]) -> set[str]:
        return {name.split(".")[-1] for name in plain if not np.array_equal(plain[name], state[name])}

    assert changed(fresh) == {"running_mean", "running_var"}
    assert {"weight", "running_mean"} <= changed(fitted)
    assert changed(same) == set()


def test_a_dry_run_makes_a_plan_that_can_be_edited_and_applied(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["--budget", "macs=70%", "--multiple", 2, "--importance", "random", "--least-share", 0.2]
    outcome = run("prune", checkpoint, "slim.safetensors", *arguments, "--dry-run", "--json", "-")
    assert outcome.code == 0, outcome.err
    assert not (tmp_path / "slim.safetensors").exists()
    plan = json.loads(outcome.out)
    assert plan["latency_ms"] == plan["measured_ms"] == {}  # no budget asks for them
    (cut,) = [group for group in plan["groups"] if group["layers"] == [6]]
    cut["removed"].append(cut["kept"].pop())
    (tmp_path / "mine.json").write_text(json.dumps(plan))
    assert run("prune", checkpoint, "slim.safetensors", "--plan", "mine.json").code == 0
    info = json.loads(run("info", "slim.safetensors", "--json", "-").out)
    applied = json.loads((tmp_path / "slim.plan.json").read_text())
    assert (applied["params"], applied["macs"]) == (info["params"], info["macs"])
    # A channel less: a 3x3 kernel over what layer 4 keeps, scale and shift, and a 3x3 plane per filter of 8.
    kept = {width["layer"]: width["after"] for width in plan["widths"]}
    assert info["params"] == plan["params"] - (9 * kept[4] + 2) - 9 * kept[8]
    assert applied["groups"] == plan["groups"]
    again = run("prune", checkpoint, "c.safetensors", "--plan", "mine.json", "--dry-run")
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "c.plan.json").read_text())["params"] == info["params"]
    assert not (tmp_path / "c.safetensors").exists()
    assert_refused(run("prune", checkpoint, "b.safetensors", "--plan", "none.json"), "none.json")
    assert_refused(run("prune", checkpoint, "b.safetensors"), "a budget", "--plan")
    wrong = ["--plan", "mine.json", "--budget", "macs=70%"]
    assert_refused(run("prune", checkpoint, "b.safetensors", *wrong), "either a budget")
    wrong = ["--plan", "mine.json", "--multiple", 4]
    assert_refused(run("prune", checkpoint, "b.safetensors", *wrong), "mine.json", "already what is pruned")
    assert not list(tmp_path.glob("b.*"))


@pytest.mark.parametrize("importance", ["taylor", "obs"])
def test_some_importances_need_images(importance: str, run: Run, checkpoint: Path, hands: Path) -> None:
    arguments = ["prune", checkpoint, "slim.safetensors", "--budget", "macs=80%", "--importance", importance]
    assert_refused(run(*arguments), "give --data")
    assert run(*arguments, "--data", hands).code == 0


@pytest.mark.parametrize(
    ("budget", "part"),
    [("macs=1%", "nearest budget"), ("flops=30%", "macs, params, channels"), ("macs=0%", "above 0%")],
)
def test_an_impossible_budget_writes_nothing(
    run: Run, checkpoint: Path, tmp_path: Path, budget: str, part: str
) -> None:
    assert_refused(run("prune", checkpoint, "slim.safetensors", "--budget", budget), part)
    assert not list(tmp_path.iterdir())


def test_prune_refuses_an_untrained_network_and_a_strange_ending(run: Run, checkpoint: Path) -> None:
    assert_refused(run("prune", MODEL, "slim.safetensors", "--budget", "macs=90%"), "--weights")
    assert_refused(run("prune", checkpoint, "slim.onnx", "--budget", "macs=90%"), "slim.onnx")


def test_a_full_disk_leaves_no_half_file(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "slim.safetensors")

    monkeypatch.setattr("seyolo.files.os.replace", full)
    outcome = run("prune", checkpoint, "slim.safetensors", "--budget", "macs=90%")
    assert_refused(outcome, "No space left on device", "free some space")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick_tables")
def test_a_plan_is_shown_as_a_table_and_drawn(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seyolo.pruning.planning.planner.measure", slow_machine)
    budget = ["--budget", "macs=70%,latency=99%@onnxruntime", "--multiple", 2]
    outcome = run("prune", checkpoint, "a.safetensors", *budget, "--dry-run")
    assert outcome.code == 0, outcome.err
    plan = json.loads((tmp_path / "a.plan.json").read_text())
    rows = [line.split() for line in outcome.out.splitlines()]
    for group in plan["groups"]:
        kept, removed = len(group["kept"]), len(group["removed"])
        share = f"{100 * removed / (kept + removed):.0f}%"
        assert [*map(str, group["layers"]), str(kept + removed), str(kept), share] in rows
    for part in ("onnxruntime predicted", "onnxruntime measured", f"{plan['macs']:,}"):
        assert part in outcome.out
    image = cv2.imread(str(tmp_path / "a.plan.png"))
    assert image is not None
    assert min(image.shape[:2]) > 300
    again = run("prune", checkpoint, "b.cfg", "--plan", "a.plan.json", "--dry-run", "--overwrite")
    assert json.loads((tmp_path / "b.plan.json").read_text())["measured_ms"] == plan["measured_ms"], again.err
    (tmp_path / "b.plan.json").unlink()
    outcome = run("prune", checkpoint, "b.cfg", "--plan", "a.plan.json")
    assert outcome.code == 0
    assert "wrote b.cfg, b.weights, b.plan.json and its image" in outcome.err
    written = {"b.cfg", "b.weights", "b.plan.json", "b.plan.png"}
    assert {path.name for path in tmp_path.iterdir()} == written | {"a.plan.json", "a.plan.png"}


def slow_machine(files: Sequence[Checkpoint], *_: object) -> list[SimpleNamespace]:
    """Latencies on a machine that knows nothing but multiply-accumulates."""
    return timings(*(cost(file.network).macs / 1e5 for file in files))


@pytest.mark.usefixtures("quick_tables")
def test_a_latency_budget_is_measured(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seyolo.pruning.planning.latency.measure", slow_machine)
    monkeypatch.setattr("seyolo.pruning.planning.planner.measure", slow_machine)
    line = ["--multiple", 1, "--budget"]
    outcome = run("prune", checkpoint, "slim.safetensors", *line, "latency=70%@onnxruntime")
    assert outcome.code == 0, outcome.err
    plan = json.loads((tmp_path / "slim.plan.json").read_text())
    assert plan["measured_ms"]["onnxruntime"] == pytest.approx(plan["macs"] / 1e5, abs=1e-3)
    assert plan["macs"] <= 0.7 * plan["dense_macs"]
    measured = f"measured {plan['macs'] / 1e5:.3g} ms of at most {0.7 * plan['dense_macs'] / 1e5:.3g} ms"
    assert measured in outcome.err
    assert "latencies scatter" not in outcome.err
    assert f"{100 * plan['macs'] / plan['dense_macs']:.1f}%" in outcome.out
    # Now every cut takes 5 of 8 ms, whatever the table says.
    monkeypatch.setattr("seyolo.pruning.planning.planner.measure", lambda *_: timings(8.0, 5.0, noise=0.3))
    refused = run("prune", checkpoint, "b.safetensors", *line, "latency=60%@onnxruntime")
    assert_refused(
        refused,
        "is not met",
        "the fastest takes 5 ms",
        "nearest budget is --budget latency=62.5%@onnxruntime",
        "warning: latencies scatter by ±30% here",
    )
    assert not list(tmp_path.glob("b.*"))


def test_layers_to_keep(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    line = ["prune", checkpoint, "slim.safetensors", "--budget", "macs=70%", "--multiple", 1]
    assert run(*line, "--keep", "2,6", "--keep", 12).code == 0
    widths = json.loads((tmp_path / "slim.plan.json").read_text())["widths"]
    whole = {width["layer"] for width in widths if width["after"] == width["before"]}
    assert {2, 6, 12} <= whole
    assert len(whole) < len(widths)
    outcome = run("prune", checkpoint, "b.safetensors", "--budget", "macs=70%", "--keep", "2,99")
    assert_refused(outcome, "there is no layer 99", "0 to 23")
    outcome = run("prune", checkpoint, "b.safetensors", "--budget", "macs=70%", "--keep", "conv2")
    assert_refused(outcome, "--keep conv2", "numbers")
    assert not list(tmp_path.glob("b.*"))


def test_an_infeasible_budget_says_what_limits_it(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    outcome = run("prune", checkpoint, "slim.safetensors", "--budget", "macs=20%", "--keep", 12)
    limits = [
        "at least 8 channels",
        "all channels of layer 12 are kept",
        "the nearest budget is --budget macs=",
    ]
    assert_refused(outcome, *limits, "--multiple 1 (", "no --keep (")
    assert len(outcome.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_budget_that_is_met_already_writes_no_copy(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    assert_refused(run("prune", checkpoint, "b.safetensors", "--budget", "macs=5G"), "met already", "nothing")
    assert not list(tmp_path.iterdir())


def test_a_slim_network_is_cut_again_down_to_one_channel_a_group(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    line = ["--budget", "macs=50%", "--multiple", 1]
    assert run("prune", checkpoint, "a.safetensors", *line).code == 0
    assert run("prune", "a.safetensors", "b.safetensors", *line).code == 0
    first, second = (json.loads((tmp_path / f"{name}.plan.json").read_text()) for name in "ab")
    assert second["dense_macs"] == first["macs"]
    assert second["macs"] <= first["macs"] / 2
    refused = run("prune", "b.safetensors", "c.safetensors", "--budget", "channels=99.9%", "--multiple", 1)
    nearest = refused.err.split("nearest budget is --budget ")[1].split()[0]
    assert_refused(refused, "at least 1 channel (")
    # As near as it comes: every group that is cut is down to one channel, and cannot be cut any more.
    line = ["--multiple", 1]
    assert run("prune", "b.safetensors", "c.safetensors", "--budget", nearest, *line).code == 0
    third = json.loads((tmp_path / "c.plan.json").read_text())
    assert 1 in {len(group["kept"]) for group in third["groups"]}
    third = run("prune", "c.safetensors", "d.safetensors", "--budget", "channels=90%", *line)
    assert_refused(third, "cannot be met")
    assert not list(tmp_path.glob("d.*"))


def test_a_plan_for_another_network_is_refused(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    assert run("prune", checkpoint, "a.safetensors", "--budget", "macs=70%", "--multiple", 2).code == 0
    outcome = run("prune", "a.safetensors", "b.safetensors", "--plan", "a.plan.json")
    assert_refused(outcome, "the plan is for another network", "make a new plan")
    assert not list(tmp_path.glob("b.*"))


NO_NORMALISATION = """
[net]
width=64
height=64
[convolutional]
filters=16
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=32
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=6
size=1
activation=linear
[yolo]
mask=0
anchors=10,20
num=1
classes=1
"""


def test_a_network_without_batch_normalisation_needs_another_importance(run: Run, tmp_path: Path) -> None:
    save(build(parse_cfg(NO_NORMALISATION, "plain.cfg")), tmp_path / "plain.cfg")
    line = ["prune", "plain.cfg", "slim.cfg", "--budget", "macs=60%"]
    assert_refused(run(*line), "nothing can be cut", "bn needs batch normalisation; norm does not")
    assert not list(tmp_path.glob("slim.*"))
    assert run(*line, "--importance", "norm").code == 0


def test_frozen_parts_of_darknet(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    """What only its training knows is kept for it; what says that a part has no weights is refused."""
    assert run("export", checkpoint, "net.cfg").code == 0
    text = (tmp_path / "net.cfg").read_text()
    sections = text.split("[convolutional]\n")
    sections[3] = "stopbackward=1\ntrain_only_bn=1\n" + sections[3]
    (tmp_path / "net.cfg").write_text("[convolutional]\n".join(sections))
    assert run("prune", "net.cfg", "slim.cfg", "--budget", "macs=60%", "--multiple", 1).code == 0
    slim = (tmp_path / "slim.cfg").read_text().split("[convolutional]\n")
    assert "stopbackward=1" in slim[3]
    assert "train_only_bn=1" in slim[3]
    sections[3] = "dontload=1\n" + sections[3]
    (tmp_path / "net.cfg").write_text("[convolutional]\n".join(sections))
    assert_refused(run("prune", "net.cfg", "b.cfg", "--budget", "macs=60%"), "net.cfg:", "dontload")
    assert not list(tmp_path.glob("b.*"))


@pytest.fixture
def spots(tmp_path: Path) -> Path:
    """The data.yaml of eleven images of spots, beside the detector of spots."""
    save(spot_detector(), tmp_path / "spots.cfg")
    (tmp_path / "spots.names").write_text("spot\n")
    return write_spots(tmp_path / "data", train=11)


def test_what_the_network_still_finds_is_said(run: Run, spots: Path, tmp_path: Path) -> None:
    num_boxes = sum(len(file.read_text().splitlines()) for file in (tmp_path / "data/labels").rglob("*.txt"))
    line = ["prune", "spots.cfg", "slim.cfg", "--budget", "channels=80%", "--multiple", 1, "--overwrite"]
    line += ["--importance", "norm", "--data"]
    for repair, found in (("reconstruct", num_boxes), ("none", 0)):
        outcome = run(*line, spots, "--repair", repair, "--json", "-")
        assert f"on 11 images it finds {found} of {num_boxes} boxes of the network before" in outcome.err
        assert f"its AP: seyolo val slim.cfg --weights slim.weights --data {spots}" in outcome.err
        counts = {"images": 11, "boxes": num_boxes, "found": found}
        assert json.loads(outcome.out)["found_again"] == counts
        assert json.loads((tmp_path / "slim.plan.json").read_text())["found_again"] == counts
    assert "found_again" not in json.loads(run(*line[:-1], "--json", "-").out)


def test_images_without_labels_are_labelled_to_measure_on(run: Run, spots: Path, tmp_path: Path) -> None:
    photos = (spots.parent / "images/train").rename(tmp_path / "photos")
    line = ["prune", "spots.cfg", "slim.safetensors", "--budget", "channels=80%", "--multiple", 1, "--data"]
    outcome = run(*line, photos)
    commands = (
        outcome.err.split("for its AP label images that the repair has not seen: ")[1]
        .splitlines()[0]
        .split(", then: ")
    )
    label, val = (command.removeprefix("seyolo ").split() for command in commands)
    assert label == ["data", "label", "spots.cfg", "IMAGES", "auto"]
    assert val == ["val", "slim.safetensors", "--data", "auto"]


def test_a_network_that_finds_nothing_asks_for_other_images(run: Run, checkpoint: Path, spots: Path) -> None:
    outcome = run("prune", checkpoint, "slim.cfg", "--budget", "macs=60%", "--multiple", 2, "--data", spots)
    assert (
        "warning: on 11 images the network before finds nothing: train it longer, or give images"
        in outcome.err
    )


@pytest.mark.parametrize(("count", "warns"), [(39, True), (40, False)])
def test_few_images_are_warned_of(run: Run, tmp_path: Path, count: int, warns: bool) -> None:
    save(spot_detector(), tmp_path / "spots.cfg")
    spots = write_spots(tmp_path / "data", train=count)
    line = ["prune", "spots.cfg", "slim.cfg", "--budget", "channels=80%", "--multiple", 1, "--data", spots]
    outcome = run(*line, "--importance", "norm", "--repair", "none")
    assert outcome.code == 0, outcome.err
    said = "warning: 39 images to prune and repair on, which is few; give 40 or more, labelled or not"
    assert (said in outcome.err.splitlines()) == warns
    assert ("which is few" in outcome.err) == warns
