"""Seconds that AP itself takes, without a network: drawn labels and detections.

    python benchmarks/average_precision.py [--pictures 821] [--detections 60]

The defaults are the Oxford test split, and what a trained network finds there at a confidence floor of 0.001.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth, average_precision

SIZE_PX = 500
HANDS = 2.5
"""Per image."""


def main() -> None:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=821)
    parser.add_argument("--detections", type=int, default=60, help="in each image")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    truths = [draw_truth(generator) for _ in range(arguments.images)]
    found = [draw_detections(truth, arguments.detections, generator) for truth in truths]
    for _ in range(arguments.repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        metrics = average_precision(truths, found, num_classes=1)
        elapsed_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
        print(f"{elapsed_s:.2f} s, {cpu_s:.2f} s of CPU time: AP {metrics.ap:.3f} of {metrics.num_objects}")


def draw_truth(generator: np.random.Generator) -> Truth:
    """The hands of an image."""
    num = int(generator.poisson(HANDS))
    return Truth(draw_boxes(num, generator), np.zeros(num, dtype=np.int64), SIZE_PX, SIZE_PX)


def draw_detections(truth: Truth, num: int, generator: np.random.Generator) -> Detections:
    """Every hand, a little off, and false alarms of lower scores."""
    hits = truth.boxes_xyxy + generator.normal(0, 4, truth.boxes_xyxy.shape)
    misses = draw_boxes(max(0, num - len(hits)), generator)
    boxes = np.concatenate([hits, misses])[:num].astype(np.float32)
    scores = np.concatenate([generator.uniform(0.3, 1, len(hits)), generator.uniform(0, 0.4, len(misses))])
    return Detections(boxes, scores[:num].astype(np.float32), np.zeros(len(boxes), dtype=np.int64))


def draw_boxes(num: int, generator: np.random.Generator) -> np.ndarray:
    """(num, 4) boxes xyxy of 20 to 150 px somewhere in an image."""
    corners, sides = generator.uniform(0, SIZE_PX - 150, (num, 2)), generator.uniform(20, 150, (num, 2))
    return np.concatenate([corners, corners + sides], axis=1)


if __name__ == "__main__":
    main()
