"""Choices that follow from machine and data: device, batch, epochs, weights of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from helpers.written_datasets import write_image, write_text
from seyolo.data.writing import write_data_yaml
from seyolo.errors import UsageError
from seyolo.options.slim import USUAL_EPOCHS as SLIM_EPOCHS
from seyolo.options.slim import SlimOptions
from seyolo.options.train import USUAL_EPOCHS as TRAIN_EPOCHS
from seyolo.options.train import TrainOptions
from seyolo.options.training import USUAL_LR
from seyolo.verbs.effort import STEPS_WANTED, chosen_device, with_effort


def written(folder: Path, num_train: int, num_rare: int = 0) -> Path:
    """Returns the data.yaml of so many images of a hand each, some of them with a face, too."""
    for number in range(num_train):
        write_image(folder / f"images/train/{number}.png")
        rows = "1 0.5 0.5 0.2 0.2\n" + ("0 0.3 0.3 0.2 0.2\n" if number < num_rare else "")
        write_text(folder / f"labels/train/{number}.txt", rows)
    write_image(folder / "images/val/a.png")
    write_text(folder / "labels/val/a.txt", "1 0.5 0.5 0.2 0.2\n")
    splits = {split: f"images/{split}" for split in ("train", "val")}
    write_data_yaml(folder / "data.yaml", splits, ("face", "hand"))
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("few"), 18, num_rare=2)


def steps(options: TrainOptions | SlimOptions, num_images: int) -> int:
    assert options.batch != "auto"
    assert options.epochs is not None
    return options.epochs * -(-num_images // options.batch)


@pytest.mark.parametrize(("options", "usual"), [(TrainOptions(), TRAIN_EPOCHS), (SlimOptions(), SLIM_EPOCHS)])
def test_few_images_get_small_batches_and_many_epochs(
    few: Path, options: TrainOptions | SlimOptions, usual: int
) -> None:
    chosen = with_effort(replace(options, data=few), usual)
    assert chosen.batch == 8
    assert STEPS_WANTED <= steps(chosen, 18) < STEPS_WANTED + 3


def test_what_is_given_stays(few: Path) -> None:
    chosen = with_effort(TrainOptions(data=few, batch=4, epochs=7), TRAIN_EPOCHS)
    assert (chosen.batch, chosen.epochs) == (4, 7)
    chosen = with_effort(TrainOptions(data=few, epochs=7), TRAIN_EPOCHS)
    assert (chosen.batch, chosen.epochs) == (8, 7)
    chosen = with_effort(TrainOptions(data=few, batch=1), TRAIN_EPOCHS)
    assert (chosen.batch, chosen.epochs) == (1, TRAIN_EPOCHS)


def test_many_images_are_trained_on_as_ever(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seyolo.verbs.effort._num_images", lambda *_: 16 * 38)
    assert with_effort(SlimOptions(data=few), SLIM_EPOCHS).epochs == SLIM_EPOCHS
    assert with_effort(SlimOptions(data=few), SLIM_EPOCHS).batch == 16
    monkeypatch.setattr("seyolo.verbs.effort._num_images", lambda *_: 16 * 12)
    assert with_effort(TrainOptions(data=few), TRAIN_EPOCHS).epochs == TRAIN_EPOCHS
    assert with_effort(TrainOptions(data=few), TRAIN_EPOCHS).batch == 16


def test_given_weights_are_not_trained_densely_however_few_the_images(few: Path) -> None:
    assert with_effort(SlimOptions(data=few, epochs=0), SLIM_EPOCHS).epochs == 0


def test_given_weights_are_slimmed_on_few_images_gently_and_in_as_many_steps_as_new_ones(few: Path) -> None:
    chosen = with_effort(SlimOptions(data=few, epochs=0), SLIM_EPOCHS)
    assert chosen.stage_epochs() == {"dense": 0, "sparse": 0, "finetuned": 400}  # 3 steps each
    assert chosen.lr == pytest.approx(0.3 * USUAL_LR)
    new = with_effort(SlimOptions(data=few), SLIM_EPOCHS)
    assert new.epochs_seen()["finetuned"] == chosen.epochs_seen()["finetuned"]
    kept = with_effort(SlimOptions(data=few, epochs=0, finetune_epochs=5), SLIM_EPOCHS)
    assert kept.stage_epochs() == {"dense": 0, "sparse": 0, "finetuned": 5}


@pytest.mark.parametrize(("batch", "most"), [("auto", 296), (16, 592)])
def test_given_weights_skip_sparsity_training_up_to_a_number_of_images(
    few: Path, monkeypatch: pytest.MonkeyPatch, batch: int | Literal["auto"], most: int
) -> None:
    for count, is_few in ((most, True), (most + 1, False)):
        monkeypatch.setattr("seyolo.verbs.effort._num_images", lambda *_, count=count: count)
        chosen = with_effort(SlimOptions(data=few, epochs=0, batch=batch), SLIM_EPOCHS)
        assert (chosen.stage_epochs()["sparse"] == 0) is is_few
        assert (chosen.lr == USUAL_LR) is not is_few


@pytest.mark.parametrize(
    ("options", "usual", "most"), [(TrainOptions, TRAIN_EPOCHS, 176), (SlimOptions, SLIM_EPOCHS, 592)]
)
def test_batches_are_of_8_up_to_a_number_of_images(
    few: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: type[TrainOptions] | type[SlimOptions],
    usual: int,
    most: int,
) -> None:
    for count, batch in ((most, 8), (most + 1, 16)):
        monkeypatch.setattr("seyolo.verbs.effort._num_images", lambda *_, count=count: count)
        assert with_effort(options(data=few), usual).batch == batch


class TestClassWeights:
    def test_auto_is_the_inverse_square_root_of_the_boxes_with_mean_one(self, few: Path) -> None:
        chosen = with_effort(TrainOptions(data=few, class_weights=("auto",)), TRAIN_EPOCHS)
        weights = {text.split("=")[0]: float(text.split("=")[1]) for text in chosen.class_weights}
        assert weights["face"] / weights["hand"] == pytest.approx((18 / 2) ** 0.5, rel=1e-3)
        assert 2 * weights["face"] + 18 * weights["hand"] == pytest.approx(20, rel=1e-3)

    def test_a_given_weight_holds_beside_auto(self, few: Path) -> None:
        chosen = with_effort(TrainOptions(data=few, class_weights=("auto", "hand=3")), TRAIN_EPOCHS)
        assert chosen.class_weights[1] == "hand=3"

    def test_an_unknown_class_is_refused_and_the_known_ones_named(self, few: Path) -> None:
        with pytest.raises(
            UsageError, match="--class-weights palm: no class of the data; there are face, hand"
        ):
            with_effort(TrainOptions(data=few, class_weights=("palm=2",)), TRAIN_EPOCHS)

    def test_one_class_has_no_weight(self, tiny_hands: Path) -> None:
        with pytest.raises(UsageError, match="the data has one class; leave them out"):
            with_effort(TrainOptions(data=tiny_hands, class_weights=("auto",)), TRAIN_EPOCHS)


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda is_there=is_there: is_there)
        assert chosen_device("auto") == device
        assert chosen_device("cuda:1") == "cuda:1"


@pytest.mark.parametrize("asked", [{"s": 0.1}, {"sparsity": "l1"}])
def test_given_weights_are_trained_with_sparsity_on_few_images_where_it_is_asked_for(
    few: Path, asked: dict[str, Any]
) -> None:
    chosen = with_effort(SlimOptions(data=few, epochs=0, **asked), SLIM_EPOCHS)
    assert chosen.stage_epochs() == {"dense": 0, "sparse": 72, "finetuned": 328}


def test_given_weights_are_slimmed_at_the_usual_rate_on_many_images_or_at_the_one_given(
    few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_effort(SlimOptions(data=few, epochs=0, lr=0.001), SLIM_EPOCHS).lr == 0.001
    assert with_effort(SlimOptions(data=few), SLIM_EPOCHS).lr == USUAL_LR
    monkeypatch.setattr("seyolo.verbs.effort._num_images", lambda *_: 16 * 38)
    assert with_effort(SlimOptions(data=few, epochs=0), SLIM_EPOCHS).lr == USUAL_LR
