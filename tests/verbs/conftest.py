"""The smallest run of `slim` there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from seyolo.verbs.slim_config import SlimConfig

from seyolo.options.cut import CutOptions


@pytest.fixture(scope="session")
def tiny_config(tiny_hands: Path) -> SlimConfig:
    """A few small images, a narrow network, and one or two epochs per stage."""
    return SlimConfig(
        data=str(tiny_hands),
        model="yolov3-tiny@0.125",
        size_px=64,
        epochs=2,
        sparse_epochs=2,
        finetune_epochs=1,
        batch_size=4,
        cut=CutOptions(multiple=2, blocks=False),
    )
