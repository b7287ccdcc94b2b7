"""What a photo costs besides the network: fitting it to the input before, boxes and suppression behind.

    python benchmarks/pre_post.py

A decoded 1280x720 photo and the raw output of a detector of one class (cells of 8, 16 and 32 pixels, three
anchors) with few and with many boxes. Once in a row, and once as it is beside a network, whose weights and
values have pushed photo, code and tables out of the caches: there it is slower.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from seyolo.detections import Detections
from seyolo.letterbox import to_batch

GOAL_MS = 1.2
CACHE_BYTES = 64 << 20
"""More than any cache of a laptop or a small server holds."""


def drawn_photo(generator: np.random.Generator) -> UInt8[np.ndarray, "720 1280 3"]:
    """Coloured clouds: resizing takes as long for any image."""
    noise = generator.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), dtype=np.uint8)


def drawn_output(
    size_px: int, num_objects: int, generator: np.random.Generator
) -> Float32[np.ndarray, "1 p 6"]:
    """Raw output with ten boxes for each object, all sure, and some 5 % of unsure ones elsewhere."""
    num_rows = 3 * sum((size_px // stride) ** 2 for stride in (8, 16, 32))
    raw = np.zeros((num_rows, 6), dtype=np.float32)
    raw[:, :4] = generator.uniform(0.1, 0.9, (num_rows, 4)) * size_px
    raw[:, 4] = 0.2 * generator.random(num_rows) ** 8
    raw[:, 5] = 0.99
    rows = generator.choice(num_rows, 10 * num_objects, replace=False)
    centres = generator.uniform(0.2, 0.8, (num_objects, 2)) * size_px
    raw[rows, :2] = np.repeat(centres, 10, axis=0) + generator.normal(0, 2, (len(rows), 2))
    raw[rows, 2:4] = size_px / 8 + generator.normal(0, 2, (len(rows), 2))
    raw[rows, 4] = generator.uniform(0.5, 0.99, len(rows))
    return raw[None]


def median_ms(turn: Callable[[], tuple[float, float]], between: Callable[[], object]) -> tuple[float, float]:
    """Medians of the two parts over a hundred turns, with something else done in between."""
    seconds = []
    for number in range(110):
        between()
        parts = turn()
        if number >= 10:
            seconds.append(parts)
    before, behind = np.median(seconds, axis=0) * 1e3
    return float(before), float(behind)


def main() -> None:
    """Times, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of OpenCV")
    cv2.setNumThreads(parser.parse_args().threads)
    generator = np.random.default_rng(0)
    photo = drawn_photo(generator)
    other = np.zeros(CACHE_BYTES, dtype=np.uint8)
    print(f"{'input':>5} {'objects':>7} {'caches':>6} {'before':>6} {'behind':>6} {'in all':>6}  (ms)")
    for size_px in (320, 416):
        for num_objects in (2, 50):
            raw = drawn_output(size_px, num_objects, generator)

            def turn(raw: Float32[np.ndarray, "1 p 6"] = raw, size_px: int = size_px) -> tuple[float, float]:
                start = time.perf_counter()
                _, placements = to_batch([photo], (size_px, size_px))
                fitted = time.perf_counter()
                Detections.from_raw(raw[0], placements[0])
                return fitted - start, time.perf_counter() - fitted

            for caches, between in (("warm", lambda: None), ("cold", lambda: np.add(other, 1, out=other))):
                before, behind = median_ms(turn, between)
                told = "" if before + behind < GOAL_MS else f"  over {GOAL_MS}"
                print(
                    f"{size_px:5} {num_objects:7} {caches:>6} {before:6.2f} {behind:6.2f} "
                    f"{before + behind:6.2f}{told}"
                )


if __name__ == "__main__":
    main()
