"""A workspace per test file: inputs, undisturbed runs and a process that forks the command lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kills.cases import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with Workspace(tmp_path_factory.mktemp("kills")) as opened:
        yield opened
