"""Images per second of `train` in one process and in two, each with one thread on its own core.

    python benchmarks/two_processes.py --data hands/data.yaml --images 416

Takes the first images of the train split, and trains turn and turn about in one process pinned to a core and
in two under torchrun. Prints the images per second of each epoch but the first, in which images are decoded,
and the ratio of the medians. Linux only; nothing else should run.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from seyolo.data.datasets import load_dataset

TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node"]


def main() -> None:
    """Runs both, prints and compares them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=208)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--options", default="--model yolov3@0.25 --size 256 --batch 16")
    arguments = parser.parse_args()
    found: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = folder / "data.yaml"
        data.write_text(described(arguments.data, folder, arguments.images), encoding="utf-8")
        options = f"--data {data} {arguments.options} --epochs {arguments.epochs}".split()
        for number in range(arguments.rounds):
            for processes, rates in found.items():
                rates.extend(trained(options, processes, folder, f"{processes}-{number}"))
                print(f"{processes}: {', '.join(f'{rate:.1f}' for rate in rates)} images/s", flush=True)
    one, two = (statistics.median(rates) for rates in found.values())
    print(f"two processes: {two / one:.2f} times one")


def described(data: Path, folder: Path, count: int) -> str:
    """A data set of the first images of another one, as lists."""
    dataset = load_dataset(data)
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(dataset.names))
    for split, most in (("train", count), ("val", 64)):
        images = [str(path.absolute()) for path in dataset.images(split)[:most]]
        (folder / f"{split}.txt").write_text("\n".join(images), encoding="utf-8")
    return f"path: {folder}\ntrain: train.txt\nval: val.txt\nnames:\n{names}"


def trained(options: list[str], processes: int, folder: Path, name: str) -> list[float]:
    """The images per second of the epochs but the first."""
    launch = [*TORCHRUN, str(processes)] if processes > 1 else []
    command = [sys.executable, *launch, "-m", "seyolo", "train", *options, "--name", name]
    cores = sorted(os.sched_getaffinity(0))[:processes]
    subprocess.run(
        command,
        check=True,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    with (folder / f"runs/train/{name}/results.csv").open(encoding="utf-8") as file:
        return [float(row["pictures_per_s"]) for row in csv.DictReader(file)][1:]


if __name__ == "__main__":
    main()
