"""Images per second of the training loader alone, without a network.

    python benchmarks/loader.py --data DATA --size 320

The first epoch decodes and fills the cache; it is timed apart from those that follow. Also prints how large
the training targets are, as sqrt(width * height) in input pixels. What a busy machine cannot distort are the
figures per second of CPU time.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from seyolo.data.batches.training import TrainingLoader, Workers
from seyolo.data.datasets import load_dataset
from seyolo.letterbox import Fit
from seyolo.options.training import Augmentation


def main() -> None:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="a data set, as the seyolo verbs take it")
    parser.add_argument("--size", type=int, default=320, help="side of the input in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1, help="threads")
    parser.add_argument("--epochs", type=int, default=2, help="timed epochs after the first")
    parser.add_argument("--plain", action="store_true", help="the recipe of the last epochs, no mosaic")
    arguments = parser.parse_args()
    recipe = Augmentation().plain() if arguments.plain else Augmentation()
    samples = load_dataset(arguments.data).split("train")
    loader = TrainingLoader(
        samples,
        Fit((arguments.size, arguments.size)),
        arguments.batch,
        recipe,
        seed=0,
        workers=Workers(arguments.workers),
    )
    print(f"first epoch, decoding: {time_epoch(loader, 0)[0]}")
    for epoch in range(1, 1 + arguments.epochs):
        rate, sides = time_epoch(loader, epoch)
        print(f"epoch {epoch}, images cached: {rate}")
    percentiles = "/".join(f"{side:.0f}" for side in np.percentile(sides, [10, 50, 90]))
    print(f"{len(sides)} objects: sqrt(area) p10/50/90 {percentiles} px, {(sides < 32).mean():.0%} below 32")


def time_epoch(loader: TrainingLoader, epoch: int) -> tuple[str, np.ndarray]:
    """Images per second of one epoch, and sqrt(area) of its objects in pixels."""
    start, start_cpu = time.perf_counter(), time.process_time()
    targets = [batch_targets for _, batch_targets in loader.epoch(epoch)]
    elapsed_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    sides = np.concatenate([rows[:, 4:6].prod(dim=1).sqrt().numpy() for rows in targets])
    num = len(loader) * loader.batch_size
    return f"{num / elapsed_s:.0f} images/s, {num / cpu_s:.0f} per second of CPU time", sides


if __name__ == "__main__":
    main()
