"""Frames per second of `seyolo detect` on a 1280x720 video, with and without an annotated one.

    python benchmarks/detect_video.py MODEL.onnx FOLDER_OF_IMAGES

The video is made of the images: each is enlarged and moves across the frame for half a second. Variants
take turns, so that what else the machine does falls on all of them; times are those of the whole process.
Processor time per frame, divided by the cores, bounds what a machine without other work can do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from seyolo.media.images import find_images, read_image
from seyolo.media.video import VideoWriter

SIZE_PX = 1280, 720
FRAMES_PER_IMAGE = 15
VARIANTS = {
    "lines of JSON": ["--jsonl", "-"],
    "annotated video": ["--save", "video", "--out"],
}


def main() -> None:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], help="of the runtime, one after another"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        video = Path(temporary) / "video.mp4"
        make_video(video, arguments.images, arguments.frames)
        rates: dict[str, list[float]] = {}
        costs: dict[str, list[float]] = {}
        for number in range(arguments.repeats):
            for name, options in VARIANTS.items():
                for threads in arguments.threads:
                    out = [str(Path(temporary) / f"{number}-{threads}")] if options[-1] == "--out" else []
                    line = [arguments.model, str(video), *options, *out, "--threads", str(threads)]
                    key = f"{name}, {threads} threads"
                    elapsed_s, processor_s = run_s(line)
                    rates.setdefault(key, []).append(arguments.frames / elapsed_s)
                    costs.setdefault(key, []).append(1000 * processor_s / arguments.frames)
    for key, values in rates.items():
        rate = f"{median(values):.0f} frames/s, {min(values):.0f} to {max(values):.0f}"
        print(f"{key}: median {rate}; processor time {median(costs[key]):.1f} ms per frame")


def run_s(line: list[str]) -> tuple[float, float]:
    """Seconds that `seyolo detect` takes, its start included, and seconds of all cores together."""
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "seyolo", "detect", *line]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after, elapsed_s = os.times(), time.perf_counter() - start
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return elapsed_s, used


def make_video(path: Path, folder: Path, num_frames: int) -> None:
    """Images that move across the frame."""
    images = find_images([folder])
    with VideoWriter(path, fps=30) as video:
        for number in range(num_frames):
            index, step = divmod(number, FRAMES_PER_IMAGE)
            if step == 0:
                image = cv2.resize(read_image(images[index % len(images)]), SIZE_PX)
            video.write(number, np.roll(image, 3 * step, axis=1))


if __name__ == "__main__":
    main()
