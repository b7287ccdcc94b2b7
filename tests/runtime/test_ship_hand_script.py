"""What ships the hand detector: its card is made of its figures, and failures are counted as they are."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from seyolo.data.datasets import load_dataset
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth
from seyolo.runtime.shipped import card_path, model_path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPLITS = ("hands val", "hands test", "hands val_small", "hands_more test", "hands_more test, gloves")
ROWS = [
    {"source": "a/b", "licence": "MIT", "author": "A B", "images": 1200, "shown": 2400, "hands": 1300},
    {"source": "parts", "licence": "", "author": "as above", "images": 7, "shown": 7, "hands": 0},
]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a program of `benchmarks/`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def made_up_figures() -> dict[str, Any]:
    """Figures of the form of `hand.json`, each a number of its own."""
    number = iter(range(1, 10_000))

    def share() -> float:
        return next(number) / 1000

    points = ("confidence", "precision", "recall", "f1")
    threads = {
        count: {
            name: {"network_ms": share(), "total_ms": share()}
            for name in ("dense", "float32", "float16", "int8")
        }
        for count in ("1", "2")
    }
    machine = {"cores": 2, "architecture": "x86-64", "instructions": "AVX2", "onnxruntime": "1.30"}
    return {
        "version": 2,
        "before": "hand-1",
        "network": {"params": 470123, "macs": 368_000_000, "input_size": [320, 320]},
        "training": {
            "commands": ["seyolo train", "seyolo slim"], "commit": "abc1234", "seed": 7, "dense_macs": 10**9,
            "epochs": {"dense": 0, "sparse": 1, "pruned": 1, "finetuned": 12}, "minutes": 77,
        },
        "training_data": ROWS,
        "data": {split: {"images": next(number), "hands": next(number)} for split in SPLITS},
        "size_bytes": dict.fromkeys(("dense", "float32", "float16", "int8"), 1_234_567),
        "accuracy": {
            name: {split: {"ap": share(), "ap50": share()} for split in SPLITS}
            for name in ("dense", "float32", "float16", "int8", "hand-1")
        },
        "interval": {split: {"difference": 0.5, "low": 0.4, "high": 0.6} for split in SPLITS},
        "lead": {split: {"difference": 0.01, "low": -0.01, "high": 0.02} for split in SPLITS},
        "lead_over_before": {split: {"difference": 0.3, "low": 0.2, "high": 0.4} for split in SPLITS},
        "confidence": {
            split: {kind: {name: share() for name in points} for kind in ("default", "best")}
            for split in SPLITS
        },
        "failures": {"all": {"hands": 200, "missed": 50}, "dark": {"hands": 0, "missed": 0}},
        "failure_images": 123,
        "false": 45,
        "file": {"precision": "float16", "size_bytes": 1_110_000, "sha256": "f" * 64},
        "checkpoint": {"size_bytes": 990_000, "sha256": "c" * 64},
        "latency": {
            "machine": machine, "rounds": 60, "num_pictures": 16, "threads": threads, "first_result_s": 0.61,
            "video": {"num_frames": 240, "boxes": 121.0, "drawn": 89.0},
        },
    }  # fmt: skip


def test_every_figure_stands_on_the_card(script: Any) -> None:
    figures = made_up_figures()
    text = script("hand_card").card(figures)
    for split in SPLITS:
        ours, old = figures["accuracy"]["float16"][split], figures["accuracy"]["hand-1"][split]
        counts = figures["data"][split]
        head = f"| {split} | {counts['images']} | {counts['hands']} | {ours['ap']:.3f} (0.400 to 0.600) "
        assert head + f"| {ours['ap50']:.3f} | {figures['accuracy']['dense'][split]['ap']:.3f} |" in text
        both = f"| {split} | {ours['ap']:.3f} | {old['ap']:.3f} | {ours['ap50']:.3f} | {old['ap50']:.3f} |"
        assert both in text
    for part in (
        "| [a/b](https://github.com/a/b) | MIT | A B | 1,200 | 2,400 | 1,300 |",
        "| parts | as above | as above | 7 | 7 | 0 |",
        "1,207 images with 1,300 hands; 7 of them show none",
        "| all | 200 | 50 | 25 % |",
        "1 epoch of sparsity training, 12 epochs of fine-tuning.",
        "on the 123 test images",
        "seyolo train\nseyolo slim\n", "version 2", "[`hand-1`](hand-1.md)", "f" * 64, "c" * 64, "0.99 MB",
        "37 % of the dense network's", "CC BY 4.0", "Farzad Malik", "Kashif Ali", "Amina Ben Salem",
        "shenggan",
    ):  # fmt: skip
        assert part in text
    assert "| dark |" not in text
    assert "$" not in text


def test_a_card_of_a_newest_version_is_that_of_its_figures(script: Any) -> None:
    path = model_path("hand").with_suffix(".json")
    figures = json.loads(path.read_text(encoding="utf-8"))
    if "version" not in figures:
        pytest.skip("the newest version is the first one, whose card is older than the template")
    assert card_path("hand").read_text(encoding="utf-8") == script("hand_card").card(figures)


def test_sources_of_training_images_are_counted(script: Any, tmp_path: Path) -> None:
    """An image that stands there twice is one image, shown twice; a name says where an image comes from."""
    hands, more, data = (tmp_path / name for name in ("hands", "more", "data"))
    for folder, text in (
        (hands, "file,source\nx.png,webcam\n"),
        (more, "file,repository,licence,author\nimages/train/y.png,a/b,CC BY 4.0,A B\n"),
    ):
        folder.mkdir()
        (folder / "manifest.csv").write_text(text, encoding="utf-8")
    for kind in ("images", "labels"):
        (data / kind / "train").mkdir(parents=True)
    for name in ("h_x", "m0_y", "m1_y", "n_z", "c_y"):
        cv2.imwrite(str(data / f"images/train/{name}.png"), np.zeros((8, 8, 3), np.uint8))
        label = "0 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.5 0.5\n" if name[0] in "hm" else ""
        (data / f"labels/train/{name}.txt").write_text(label, encoding="utf-8")
    (data / "data.yaml").write_text("path: .\ntrain: images/train\nnames: [hand]\n", encoding="utf-8")
    rows = script("hand_training").training_data(data / "data.yaml", hands, more)
    assert [(row["source"], row["licence"], row["images"], row["shown"], row["hands"]) for row in rows] == [
        ("a/b", "CC BY 4.0", 1, 2, 2),
        ("SubhiH/HandsDataset", "Apache-2.0", 1, 1, 2),
        ("Shenggan/BCCD_Dataset", "MIT", 1, 1, 0),
        ("parts without hands of the images above", "", 1, 1, 0),
    ]
    assert rows[0]["author"] == "A B"


def test_failures_are_counted_by_kind(script: Any, tmp_path: Path) -> None:
    """A dark hand of 20 px that is found, a bright one of 80 px at the border that is not, in 160 px."""
    module: ModuleType = script("hand_failures")
    pixels = np.full((160, 160, 3), 120, np.uint8)
    pixels[20:40, 20:40], pixels[80:, 80:] = 10, 250
    (tmp_path / "images/test").mkdir(parents=True)
    (tmp_path / "labels/test").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/test/x.png"), pixels)
    labels = "0 0.1875 0.1875 0.125 0.125\n0 0.75 0.75 0.5 0.5\n"
    (tmp_path / "labels/test/x.txt").write_text(labels, encoding="utf-8")
    (tmp_path / "data.yaml").write_text("path: .\ntest: images/test\nnames: [hand]\n", encoding="utf-8")
    (sample,) = load_dataset(tmp_path / "data.yaml").split("test")
    truth = Truth(
        np.array([[20, 20, 40, 40], [80, 80, 160, 160]], np.float32), np.zeros(2, np.int64), 160, 160
    )
    found = Detections(
        np.array([[20, 20, 40, 41], [50, 0, 70, 20], [80, 80, 160, 160]], np.float32),
        np.array([0.9, 0.6, 0.1], np.float32),
        np.zeros(3, np.int64),
    )
    image = module.Image(sample, truth, found, True)
    rows = module.failures([image], 160)
    assert {kind: (row["hands"], row["missed"]) for kind, row in rows.items() if row["hands"]} == {
        "all": (2, 1),
        "16 to 32 px": (1, 0),
        "64 px and more": (1, 1),
        "dark": (1, 0),
        "bright": (1, 1),
        "cut by the border": (1, 1),
        "images of gloves and whole figures": (2, 1),
    }
    assert module.failures([image], 320)["32 to 64 px"] == {"hands": 1, "missed": 0}
    assert module.badness(image) == (1.5, pytest.approx(0.6))
    page = module.worst_page([image])
    assert page.ndim == 3
    assert (module.drawn(image)[80, 80] == module.RED).all()
