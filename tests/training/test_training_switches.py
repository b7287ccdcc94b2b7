"""Switches of training: frozen layers, patience, weights of classes, threads, augmentation left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.stopping import StopIn
from helpers.tiny_training import CONFIG, fresh_model
from seyolo.checkpoint import read_checkpoint
from seyolo.darknet import zoo
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import SeyoloError
from seyolo.options.parameters import build as built
from seyolo.options.slim import SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.options.training import Augmentation, TrainingOptions
from seyolo.torchnet.build import build, to_checkpoint
from seyolo.torchnet.device import limited_threads
from seyolo.training.config import TrainConfig
from seyolo.training.loop import train
from seyolo.training.loss import DetectionLoss, LossModule, class_weights
from seyolo.training.run_folder import saved_state
from seyolo.training.trackers import Monitor
from seyolo.training.validation import Validation


@pytest.fixture(scope="module")
def dataset(tiny_hands: Path) -> Dataset:
    return load_dataset(tiny_hands)


def test_frozen_layers_keep_weights_and_statistics_and_others_do_not(
    dataset: Dataset, tmp_path: Path
) -> None:
    model = fresh_model()
    before = to_checkpoint(model).state
    train(model, dataset, replace(CONFIG, freeze=4, epochs=1), tmp_path)
    after = read_checkpoint(tmp_path / "last.safetensors").state
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {name for name in before if int(name.split(".")[1]) < 4 and name in moved} == set()
    assert {name for name in before if int(name.split(".")[1]) >= 4} - moved == set()


class TestPatience:
    def falling(self, monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
        """Makes evaluations return these scores, the last of them for ever."""
        left = list(scores)

        def evaluate(self: Validation, model: Any) -> dict[str, float]:
            ap = left.pop(0) if len(left) > 1 else left[0]
            return {"val_ap": ap, "val_ap50": ap, "ap": ap}

        monkeypatch.setattr(Validation, "evaluate", evaluate)

    def test_it_stops_after_so_many_epochs_without_a_better_ap(
        self, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.falling(monkeypatch, [0.1, 0.4, 0.3])
        config = replace(CONFIG, epochs=9, patience=3)
        result = train(fresh_model(), dataset, config, tmp_path)
        assert (len(result.history), result.best_epoch) == (5, 2)
        state = saved_state(tmp_path, 9)
        assert state is not None
        again = train(fresh_model(), dataset, config, tmp_path, state=state)
        assert (len(again.history), again.best_epoch) == (5, 2)  # a resumed run has nothing left to do

    def test_a_rising_ap_goes_on_to_the_end(
        self, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.falling(monkeypatch, [0.1, 0.2, 0.3, 0.4, 0.5])
        result = train(fresh_model(), dataset, replace(CONFIG, epochs=4, patience=1), tmp_path)
        assert len(result.history) == 4

    def test_the_network_that_slimming_starts_from_is_waited_for(
        self, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.falling(monkeypatch, [0.4, 0.3])
        config = replace(CONFIG, epochs=6, patience=1, snapshot_epoch=4)
        assert len(train(fresh_model(), dataset, config, tmp_path).history) == 4
        assert (tmp_path / "epoch-4.safetensors").exists()


def logits_and_targets() -> tuple[Any, torch.Tensor, torch.Tensor]:
    network = zoo.yolov3_tiny(num_classes=2, width=0.125)
    model = build(network, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 1, 40.0, 30.0, 30.0, 40.0], [1, 0, 60.0, 64.0, 50.0, 60.0]])
    return model, torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1)), targets


class TestClassWeights:
    def test_weights_of_one_change_nothing_but_rounding(self) -> None:
        model, images, targets = logits_and_targets()
        usual = LossModule(model, DetectionLoss(model.heads))(images, targets)
        weighed = LossModule(model, DetectionLoss(model.heads, class_weights=torch.ones(2)))(images, targets)
        torch.testing.assert_close(usual[1], weighed[1])

    def test_a_heavy_class_decides_the_mean_of_the_parts(self) -> None:
        """With all weight on one object, box and class terms are those of a batch with it alone."""
        model, images, targets = logits_and_targets()
        logits = [x.detach() for x in model.forward_heads(images)]
        alone = DetectionLoss(model.heads)(logits, targets[1:], (96, 96))[1]
        weights = torch.tensor([1e6, 1e-6])
        both = DetectionLoss(model.heads, class_weights=weights)(logits, targets, (96, 96))[1]
        few = DetectionLoss(model.heads)(logits, targets, (96, 96))[1]
        # A sum of qualities below 1 divides by 1, so the ratio of the two terms is compared.
        assert both[0] / both[2] == pytest.approx((alone[0] / alone[2]).item(), rel=1e-3)
        assert few[0] / few[2] != pytest.approx((alone[0] / alone[2]).item(), rel=1e-3)

    def test_the_weights_follow_the_names(self) -> None:
        found = class_weights(("face", "hand", "a=b"), ("hand=2.5", "a=b=0.5"))
        assert found is not None
        assert found.tolist() == [1.0, 2.5, 0.5]
        assert class_weights(("hand",), ()) is None


@pytest.mark.parametrize("kind", [TrainOptions, SlimOptions])
class TestOptions:
    @pytest.mark.parametrize(
        ("keywords", "text"),
        [
            ({"threads": 0}, "--threads 0: at least one thread"),
            ({"patience": 0}, "--patience 0: at least one epoch"),
            ({"batch": -4}, "--batch -4"),
            ({"freeze": -1}, "--freeze -1"),
            ({"class_weights": ("hand",)}, "--class-weights hand: expected a class and a number"),
            ({"class_weights": ("hand=0",)}, "--class-weights hand=0"),
            ({"class_weights": ("=2",)}, "--class-weights =2"),
            ({"class_weights": ("hand=nan",)}, "--class-weights hand=nan"),
            ({"device": "gpu"}, "'gpu' is no device; use auto, cpu or cuda"),
            ({"device": "0,1"}, "torchrun --nproc-per-node"),
            ({"device": "-1"}, "'-1' is no device"),
        ],
    )
    def test_values_out_of_their_range(self, kind: type, keywords: dict[str, Any], text: str) -> None:
        with pytest.raises(SeyoloError, match=text):
            kind(**keywords)

    @pytest.mark.parametrize(
        ("given", "kept"), [("0", "cuda:0"), ("3", "cuda:3"), ("auto", "auto"), ("cpu", "cpu")]
    )
    def test_a_number_is_a_gpu(self, kind: type, given: str, kept: str) -> None:
        assert kind(device=given).device == kept

    def test_python_takes_a_number_and_auto(self, kind: type) -> None:
        options = built(kind, "train", None, {"device": 1, "batch": "auto", "class_weights": "auto"})
        assert (options.device, options.batch, options.class_weights) == ("cuda:1", "auto", ("auto",))
        with pytest.raises(SeyoloError, match="batch"):
            built(kind, "train", None, {"batch": "many"})

    def test_switches_leave_their_part_out_of_the_recipe(self, kind: type) -> None:
        usual = Augmentation()
        assert kind().recipe() == usual
        assert kind(mosaic=False).recipe() == replace(usual, mosaic=0.0)
        assert kind(flip=False).recipe() == replace(usual, flip=0.0)
        colourless = kind(colour=False).recipe()
        assert (colourless.hue, colourless.saturation, colourless.value, colourless.gamma) == (0, 0, 0, 0)
        still = kind(zoom=False).recipe()
        assert (still.scale_min, still.scale_max, still.aspect, still.translate) == (1, 1, 0, 0)

    def test_a_switch_holds_in_every_epoch(self, kind: type) -> None:
        config = TrainConfig.of(kind(mosaic=False, zoom=False), epochs=10)
        for epoch in (0, 9):
            recipe = config.epoch_augmentation(epoch)
            assert (recipe.mosaic, recipe.scale_min, recipe.scale_max) == (0, 1, 1)


def test_the_usual_recipe_of_the_last_epochs_is_as_it_was() -> None:
    assert Augmentation().plain() == Augmentation(mosaic=0.3, scale_min=0.5, scale_max=1.25)


def test_what_was_not_chosen_is_usual() -> None:
    config = TrainConfig.of(TrainingOptions())
    assert (config.batch, config.device) == (16, "cpu")


def test_threads_hold_as_long_as_the_context() -> None:
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with limited_threads(None):
        assert torch.get_num_threads() == before


def test_a_stopped_run_with_patience_goes_on(dataset: Dataset, tmp_path: Path) -> None:
    config = replace(CONFIG, patience=1)
    with pytest.raises(KeyboardInterrupt):
        train(fresh_model(), dataset, config, tmp_path, monitor=Monitor(StopIn("train epoch 2/2")))
    state = saved_state(tmp_path, 2)
    assert len(train(fresh_model(), dataset, config, tmp_path, state=state).history) == 2
