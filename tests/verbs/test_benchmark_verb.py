"""AP in a benchmark where its package is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from seyolo.data.datasets import load_dataset
from seyolo.errors import BackendError
from seyolo.evaluation.backends import evaluate_backend
from seyolo.options.model import ModelOptions
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


def test_the_smallest_and_largest_image_are_named() -> None:
    images = [np.zeros((height, width, 3), np.uint8) for height, width in ((30, 40), (20, 10), (50, 30))]
    assert benchmark.sizes_text(images) == "10x20 to 30x50"
    assert benchmark.sizes_text(images[:1] * 2) == "40x30"


def test_a_benchmark_names_the_images_that_it_timed(tiny_hands: Path) -> None:
    assert benchmark.benchmark("hand", repeats=1).timed_on == "a drawn image, 1280x720 px"
    dataset = load_dataset(tiny_hands)
    count = len(benchmark.sample_images(dataset))
    told = benchmark.compare(
        {"hand": benchmark.Entrant("hand", ModelOptions(), 1, "cpu")}, dataset, repeats=1
    )
    assert told.timed_on.startswith(f"{count} images of {benchmark.timed_split(dataset)}, ")
