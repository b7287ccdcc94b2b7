"""Memory and pace of `detect` over many images.

    python benchmarks/detect_folder.py MODEL.onnx --pictures 10000

Makes a folder with that many names of one small image (hard links, which take no space), runs `detect` over
it as a process, and prints its resident memory at every tenth of the way. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

POLL_S = 0.05
MOST_LINKS = 50_000
"""File systems limit how many names a file may have."""


def main() -> None:
    """Runs the measurement and prints its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--save", default="images,json,csv,yolo,coco")
    parser.add_argument("--threads", default="1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary) / "in", Path(temporary) / "out"
        make_images(folder, arguments.images)
        line = [sys.executable, "-m", "seyolo", "detect", arguments.model, str(folder), "--out", str(out)]
        line += ["--save", arguments.save, "--threads", arguments.threads]
        start = time.perf_counter()
        with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
            watch(process, out / "detections.partial.jsonl", arguments.images)
        elapsed_s = time.perf_counter() - start
    print(f"{arguments.images} images in {elapsed_s:.1f} s, {arguments.images / elapsed_s:.0f} images/s")


def make_images(folder: Path, count: int) -> None:
    """One image of 160x120 under `count` names."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    first = folder / "0000000.jpg"
    cv2.imwrite(str(first), cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC))
    for number in range(1, count):
        path = folder / f"{number:07d}.jpg"
        if number % MOST_LINKS == 0:
            first = Path(shutil.copy(first, path))
        else:
            os.link(first, path)


def watch(process: subprocess.Popen[bytes], journal: Path, total: int) -> None:
    """Prints the memory of a running `detect` whenever another tenth of the images is done."""
    next_tenth, num_done, position = 1, 0, 0
    while process.poll() is None:
        time.sleep(POLL_S)
        if not journal.is_file():
            continue
        with journal.open("rb") as file:
            file.seek(position)
            data = file.read()
        position += len(data)
        num_done += data.count(b"\n")
        while next_tenth <= 10 and num_done >= total * next_tenth / 10:
            print(f"{num_done:>9} images: {resident_mb(process.pid):.1f} MB", flush=True)
            next_tenth += 1


def resident_mb(pid: int) -> float:
    """Resident memory of a process, as Linux tells it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
