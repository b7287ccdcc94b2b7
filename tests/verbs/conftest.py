"""The smallest run of `slim` there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions


@pytest.fixture(scope="session")
def tiny_config(tiny_hands: Path) -> SlimOptions:
    """A few small images, a narrow network, and one or two epochs per stage."""
    return SlimOptions(
        data=tiny_hands,
        model="yolov3-tiny@0.125",
        size=64,
        epochs=2,
        sparse_epochs=2,
        finetune_epochs=1,
        batch=4,
        cut=CutOptions(multiple=2),
    )
