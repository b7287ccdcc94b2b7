"""Says where the pins hold within a tolerance alone."""

from __future__ import annotations

import json

import pytest
from pins import FOLDER, REWRITE, machine


@pytest.mark.skipif(REWRITE, reason="they are being written")
def test_the_pins_are_of_this_machine() -> None:
    recorded = json.loads((FOLDER / "pins" / "slim-default.json").read_text(encoding="utf-8"))["machine"]
    here = machine()
    other = [
        f"{key} {here.get(key)}, not {value}" for key, value in recorded.items() if here.get(key) != value
    ]
    if other:
        pytest.skip(f"floats are held within a tolerance: {'; '.join(other)}")
