"""What is said about packages that are not there."""

from __future__ import annotations

import importlib

import pytest

from seyolo.errors import BackendError
from seyolo.runtime.choice import needing


def test_it_says_what_to_install() -> None:
    with (
        pytest.raises(
            BackendError, match=r"^x\.bin needs absent, which is not installed; get it with: pip install y$"
        ),
        needing("absent", "x.bin", "y"),
    ):
        importlib.import_module("absent.part")


def test_another_module_that_is_missing_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError, match="other"), needing("absent", "x.bin", "y"):
        importlib.import_module("other")
