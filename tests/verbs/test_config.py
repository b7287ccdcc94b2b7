"""What a run makes of its epochs: where slimming leaves dense training, and how the learning rate falls."""

from __future__ import annotations

from pathlib import Path

import pytest

from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.options.training import USUAL_LR
from seyolo.verbs.stages import stage_config
from seyolo.verbs.stages import strength as strength_of

STEPS_PER_EPOCH = 10


def config(**choices: object) -> SlimOptions:
    return SlimOptions(data=Path("data.yaml"), **choices)  # type: ignore[arg-type]


def rates(config: SlimOptions, stage: str) -> list[float]:
    training = stage_config(config, stage)
    return [training.rate_at(step, STEPS_PER_EPOCH) for step in range(training.epochs * STEPS_PER_EPOCH)]


def test_the_slim_network_sees_twice_as_many_epochs_as_the_dense_one() -> None:
    for epochs in (10, 30, 45, 300):
        seen = config(epochs=epochs).epochs_seen()
        assert (seen["dense"], seen["finetuned"]) == (epochs, 2 * epochs)
        assert seen["sparse"] == seen["pruned"] == pytest.approx(0.48 * epochs, abs=1)


def test_slimming_leaves_dense_training_early() -> None:
    early = config(epochs=50)
    assert (early.branch(), early.is_early()) == (6, True)
    assert stage_config(early, "dense").snapshot_epoch == 6
    assert config(epochs=50, branch_epoch=8).branch() == 8
    assert config(epochs=50, branch_epoch=80).branch() == 50


@pytest.mark.parametrize("late", [{"finetune": False}, {"finetune_epochs": 0}, {"branch_epoch": 50}])
def test_slimming_waits_for_dense_training_where_nothing_follows_or_one_says_so(
    late: dict[str, object],
) -> None:
    waits = config(epochs=50, **late)
    assert (waits.branch(), waits.is_early()) == (50, False)
    assert stage_config(waits, "dense").snapshot_epoch is None
    assert stage_config(waits, "sparse").lr < stage_config(waits, "dense").lr


def test_the_learning_rate_falls_once_over_all_stages() -> None:
    early = config(epochs=50)
    dense, sparse, tuned = (rates(early, stage) for stage in ("dense", "sparse", "finetuned"))
    peaks = [max(stage) for stage in (dense, sparse, tuned)]
    assert peaks == sorted(peaks, reverse=True)
    assert sparse[-1] == pytest.approx(max(tuned), rel=0.01)
    assert tuned[-1] == pytest.approx(dense[-1], rel=0.05) == pytest.approx(0.01 * max(dense), rel=0.1)


def test_given_weights_start_a_schedule_of_their_own() -> None:
    given = config(epochs=0)
    assert given.epochs_seen() == {"dense": 0, "sparse": 6, "pruned": 6, "finetuned": 32}
    assert max(rates(given, "sparse")) == pytest.approx(0.67 * USUAL_LR, rel=0.01)
    assert rates(given, "finetuned")[-1] < 0.02 * USUAL_LR


def test_the_usual_strength_moves_a_scale_by_half_however_long_it_lasts() -> None:
    for sparse_epochs in (2, 20):
        for sparsity in ("group", "proximal"):
            group = config(sparse_epochs=sparse_epochs, sparsity=sparsity)
            strength = strength_of(group, STEPS_PER_EPOCH)
            scales_rate = stage_config(group, "sparse").scales_rate
            assert scales_rate == 10
            assert sum(strength * scales_rate * rate for rate in rates(group, "sparse")) == pytest.approx(0.5)


def test_a_strength_and_a_rate_that_are_given_hold() -> None:
    assert strength_of(config(s=0.3), STEPS_PER_EPOCH) == 0.3
    assert stage_config(config(scales_rate=3.0), "sparse").scales_rate == 3
    assert strength_of(config(sparsity="l1"), STEPS_PER_EPOCH) == 0.01
    for sparsity in ("l1", "steered"):
        assert stage_config(config(sparsity=sparsity), "sparse").scales_rate == 1
    assert stage_config(config(), "finetuned").scales_rate == 1


def test_tied_scales_count_by_their_maximum_where_channels_fade() -> None:
    assert config().plan_options().tied is None
    assert config(sparsity="steered").plan_options().tied == "max"
    assert config(sparsity="steered", sparse_epochs=0).plan_options().tied is None
    assert config(sparsity="steered", cut=CutOptions(tied="mean")).plan_options().tied == "mean"


def test_what_fades_is_chosen_by_scales_unless_told() -> None:
    assert config().plan_options().importance is None  # measured on images
    assert config(sparsity="steered").plan_options().importance == "bn"
    assert config(sparsity="steered", sparse_epochs=0).plan_options().importance is None
    assert config(sparsity="steered", cut=CutOptions(importance="obs")).plan_options() == CutOptions(
        importance="obs", blocks=False
    )
