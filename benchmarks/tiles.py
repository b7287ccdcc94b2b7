"""AP and time with and without tiles, on drawn images with many small objects.

    python benchmarks/tiles.py [--folder tiles] [--epochs 12] [--seed 0]

Images of 1280x960 px hold rings of 11 to 27 px, the objects, beside full discs of the same sizes, which are
none. At an input of 320 px a ring is 3 to 7 px. One network trains on whole images, one on tiles, for about
the same number of steps; each is evaluated on whole images and on tiles.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import seyolo
from seyolo.data.datasets import load_dataset
from seyolo.data.tiles import training_samples
from seyolo.data.writing import write_data_yaml
from seyolo.tiling.grid import Tiling

HEIGHT, WIDTH, SIZE_PX = 960, 1280, 320
RINGS, DISCS = 14, 14


def draw(generator: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """An image and the rows of its label."""
    coarse = generator.integers(60, 190, (HEIGHT // 32, WIDTH // 32, 3), np.uint8)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    rows = []
    for number in range(RINGS + DISCS):
        radius = int(generator.integers(5, 14))
        x = int(generator.integers(radius, WIDTH - radius))
        y = int(generator.integers(radius, HEIGHT - radius))
        colour = generator.integers(0, 256, 3).tolist()
        is_ring = number < RINGS
        cv2.circle(
            image, (x, y), radius - is_ring, colour, max(2, radius // 3) if is_ring else -1, cv2.LINE_AA
        )
        if is_ring:
            side = 2 * radius + 1
            box = (x + 0.5) / WIDTH, (y + 0.5) / HEIGHT, side / WIDTH, side / HEIGHT
            rows.append("0 " + " ".join(f"{value:.6f}" for value in np.clip(box, 0, 1)))
    noise = generator.normal(0, 8, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), rows


def write(folder: Path, seed: int) -> Path:
    """The `data.yaml` of the drawn data set."""
    generator = np.random.default_rng(seed)
    for split, count in {"train": 60, "val": 20}.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, rows = draw(generator)
            cv2.imwrite(
                str(folder / f"images/{split}/{number:03}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92]
            )
            (folder / f"labels/{split}/{number:03}.txt").write_text("\n".join(rows) + "\n")
    splits = {split: f"images/{split}" for split in ("train", "val")}
    write_data_yaml(folder / "data.yaml", splits, ("ring",))
    return folder / "data.yaml"


def main() -> None:
    """Trains twice, and prints AP and seconds an image of either network, with and without tiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("tiles"))
    parser.add_argument("--epochs", type=int, default=12, help="of training on tiles")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = write(arguments.folder / "data", seed=7)
    tiling = Tiling((SIZE_PX, SIZE_PX))
    dataset = load_dataset(data)
    steps = len(training_samples(dataset.tiled(tiling))) / len(training_samples(dataset))
    print("| trained on | evaluated on | AP | AP@0.5 | s an image |\n|---|---|---:|---:|---:|")
    for tile in (False, True):
        epochs = arguments.epochs if tile else round(arguments.epochs * steps)
        folder = arguments.folder / ("run-tiles" if tile else "run-whole")
        trained = seyolo.train(
            data,
            "yolov3-tiny@0.5",
            size=SIZE_PX,
            tile=tile,
            epochs=epochs,
            seed=arguments.seed,
            folder=folder,
        )
        for cut in (False, True):
            start = time.perf_counter()
            found = seyolo.evaluate(trained.model, dataset.tiled(tiling if cut else None), "val")["val"]
            seconds = (time.perf_counter() - start) / len(dataset.images("val"))
            names = ["tiles" if value else "whole images" for value in (tile, cut)]
            print(
                f"| {names[0]} | {names[1]} | {found.ap:.3f} | {found.ap50:.3f} | {seconds:.2f} |", flush=True
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
