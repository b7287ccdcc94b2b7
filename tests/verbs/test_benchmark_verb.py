"""AP in a benchmark where its package is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seyolo.errors import BackendError
from seyolo.evaluation.backends import evaluate_backend
from seyolo.verbs import benchmark


def test_ap_is_left_out_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    with pytest.warns(match="AP is left out: it needs faster-coco-eval.*pip install faster-coco-eval"):
        assert not benchmark._can_measure_ap()


def test_without_its_package_ap_alone_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tiny_hands: Path
) -> None:
    for module in [name for name in sys.modules if name.startswith("seyolo.evaluation.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    monkeypatch.setitem(sys.modules, "faster_coco_eval.core.coco", None)
    with pytest.raises(BackendError, match="AP needs faster-coco-eval, which is not installed"):
        evaluate_backend(None, tiny_hands)  # type: ignore[arg-type]
