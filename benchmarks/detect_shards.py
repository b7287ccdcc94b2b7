"""`detect` over very many images in several workers that are killed again and again.

    python benchmarks/detect_shards.py MODEL.onnx --images 1000000 --shards 4 --kills 3

Makes a folder with that many names of a few small images (hard links, which take no space), runs the workers
side by side, kills each with SIGKILL that many times at random moments and resumes it. In the end every image
must stand in the journals once. `--done 0.99` writes the rows of the first 99 % of each worker beforehand, as
if it had been killed there, which leaves listing, resuming and the tables at full size. Prints per
start of a worker the seconds until its first row, processor time and the largest memory. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

MOST_LINKS = 50_000
"""File systems limit how many names a file may have."""
ROW: dict[str, object] = {"width": 32, "height": 24, "annotated": None, "detections": []}


def main() -> None:
    """Runs the workers and checks what they leave."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--done", type=float, default=0.0)
    parser.add_argument("--at-once", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary) / "in", Path(temporary) / "out"
        make_images(folder, arguments.images)
        command = [sys.executable, "-m", "seyolo", "detect", arguments.model, str(folder)]
        command += ["--out", str(out), "--save", "json,jsonl", "--threads", "1"]
        workers = [Worker(command, out, number, arguments) for number in range(1, arguments.shards + 1)]
        workers[0].start(stop_after_rows=1)  # the settings are there: the others may have rows already
        for worker in workers:
            worker.fill(folder)
        with ThreadPoolExecutor(arguments.at_once) as pool:
            list(pool.map(Worker.run, workers))
        check(out, arguments)


class Worker:
    """One of the workers on a folder."""

    def __init__(self, command: list[str], out: Path, number: int, arguments: argparse.Namespace) -> None:
        self.command, self.out, self.arguments = command, out, arguments
        self.shard = f"{number}/{arguments.shards}"
        self.journal = out / f"detections.{number}-of-{arguments.shards}.partial.jsonl"
        self.table = out / f"detections.{number}-of-{arguments.shards}.jsonl"
        self.mine = range(number - 1, arguments.images, arguments.shards)
        self.rng = random.Random(number)

    def fill(self, folder: Path) -> None:
        """Writes the rows of an earlier run, and a torn one as a killed process leaves it."""
        done = self.mine[: int(self.arguments.done * len(self.mine))]
        if done:
            with self.journal.open("w", encoding="utf-8") as file:
                rows = ({"picture": str(folder / name_of(number)), **ROW} for number in done)
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.write('{"picture": "')

    def run(self) -> None:
        """Runs to the end, killed some times on the way."""
        kills = self.arguments.kills
        left = len(self.mine) - rows_after(self.journal, 0)[0]
        for _ in range(kills):
            if not self.table.exists():
                self.start(stop_after_rows=self.rng.randint(1, max(1, left // (kills + 1))))
        if not self.table.exists():
            self.start()

    def start(self, stop_after_rows: int = 0) -> None:
        """Starts or resumes the worker; kills it after so many new rows, where any are named."""
        begun = (self.out / "config.json").exists()
        command = [*self.command[:4], "--resume", str(self.out)] if begun else self.command
        end = rows_after(self.journal, 0)[1]
        start, first_s = time.perf_counter(), 0.0
        with subprocess.Popen([*command, "--shard", self.shard], stdout=subprocess.DEVNULL) as process:
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                new = rows_after(self.journal, end)[0] if stop_after_rows or not first_s else 0
                first_s = first_s or (time.perf_counter() - start if new else 0.0)
                if stop_after_rows and new >= stop_after_rows:
                    process.kill()
                time.sleep(0.05)
            process.returncode = os.waitstatus_to_exitcode(ended[1])
        usage = ended[2]
        print(
            f"shard {self.shard}: exit {process.returncode}, first new row after {first_s:.1f} s, "
            f"{usage.ru_utime + usage.ru_stime:.1f} s of processor time, {usage.ru_maxrss / 1e3:.0f} MB",
            flush=True,
        )
        if not stop_after_rows and process.returncode:
            raise SystemExit(f"shard {self.shard} ended with {process.returncode}")


def make_images(folder: Path, count: int) -> None:
    """A few images of 32x24 under `count` names."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / name_of(number)
        if number % MOST_LINKS == 0:
            first = path
            cv2.imwrite(str(path), rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        else:
            path.hardlink_to(first)


def name_of(number: int) -> str:
    """The name of an image."""
    return f"{number:07d}.jpg"


def rows_after(path: Path, start: int) -> tuple[int, int]:
    """Whole lines of a journal from a position on, and the end of the last one."""
    if not path.exists():
        return 0, 0
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    return data.count(b"\n"), start + data.rfind(b"\n") + 1


def check(out: Path, arguments: argparse.Namespace) -> None:
    """Every image stands in the journals once."""
    journals = sorted(out.glob("detections.*.jsonl"))
    names = [json.loads(line)["picture"] for path in journals for line in path.read_text().splitlines()]
    print(f"{len(names)} rows, {len(set(names))} images of {arguments.images}, {len(journals)} journals")
    if not len(names) == len(set(names)) == arguments.images:
        raise SystemExit("an image is missing or twice")


if __name__ == "__main__":
    main()
