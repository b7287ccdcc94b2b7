"""Where bfloat16 is used for training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.tiny_training import CONFIG, fresh_model
from seyolo.data.datasets import load_dataset
from seyolo.torchnet.device import gains_from_bf16
from seyolo.training.loop import train
from seyolo.training.loss import LossModule


@pytest.mark.parametrize(("has", "gains"), [(True, True), (False, False), (None, False)])
def test_a_cpu_gains_from_bfloat16_with_its_instructions_alone(
    has: bool | None, gains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seyolo.torchnet.device.has_bf16", lambda: has)
    assert gains_from_bf16(torch.device("cpu")) is gains
    assert gains_from_bf16(torch.device("cuda"))


@pytest.mark.parametrize("gains", [True, False])
def test_training_takes_bfloat16_where_it_gains(
    gains: bool, tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seyolo.training.step.gains_from_bf16", lambda _: gains)
    seen: set[bool] = set()

    class Watched(LossModule):
        def forward(self, *args: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            seen.add(torch.is_autocast_enabled("cpu"))
            return super().forward(*args)

    monkeypatch.setattr("seyolo.training.step.LossModule", Watched)
    train(fresh_model(), load_dataset(tiny_hands), replace(CONFIG, epochs=1), tmp_path)
    assert seen == {gains}
