"""The runs that are killed: as short as they can be, with every file that a long one has.

The data set shows spots, and the network they start from finds them: scores are above zero from the first
epoch on, so that the best epoch is not simply the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helpers.spot_detector import spot_detector, spot_images, write_spots

SIZE_PX = 64
NUM_SHARDS = 3


@dataclass(frozen=True)
class Job:
    """A run by its command lines.

    Attributes:
        name: in tables, and of the run's folder.
        verb: train, slim or detect.
        options: behind the verb, `--name` or `--out` and what is named `shards` excepted.
        base: a job whose finished folder this one starts from, by `--resume`.
        shards: number of workers that share the folder.
    """

    name: str
    verb: str
    options: tuple[str, ...]
    base: str | None = None
    shards: int = 1

    @property
    def folder(self) -> str:
        """The run's folder, from the folder it is started in."""
        return f"runs/{self.verb}/{self.base or self.name}"

    def start(self, shard: int = 1) -> tuple[str, ...]:
        """The command line of a new run."""
        if self.base is not None:
            return (self.verb, "--resume", self.folder, *self.options)
        place = ("--out", self.folder) if self.verb == "detect" else ("--name", self.name)
        return (self.verb, *self.options, *place, *self._share(shard))

    def resume(self, shard: int = 1) -> tuple[str, ...]:
        """The command line that goes on with the run."""
        more = self.options if self.base is not None else self._share(shard)
        return (self.verb, "--resume", self.folder, *more)

    def _share(self, shard: int) -> tuple[str, ...]:
        return () if self.shards == 1 else ("--shard", f"{shard}/{self.shards}")


CONTROLS = ("--controls", "uniform", "--controls", "scratch", "--controls", "random")
DATA = (
    "--data",
    "../data/data.yaml",
    "--model",
    "../spots.safetensors",
    "--size",
    str(SIZE_PX),
    "--batch",
    "2",
)
TRAIN = (*DATA, "--epochs", "3", "--lr", "0.02")
SLIM = (
    *(*DATA, "--epochs", "2", "--sparse-epochs", "2", "--finetune-epochs", "2", "--lr", "0.02"),
    *("--budget", "macs=50%", "--multiple", "2"),
)
EVERY_STEP = ("--save-every", "1e-9")
DETECT = ("../spots.onnx", "../photos", "--confidence", "0.5")

JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job("train", "train", (*TRAIN, *EVERY_STEP)),
        Job("sparse", "train", (*TRAIN, "--sparsity", "group")),
        Job("taught", "train", (*TRAIN, "--teacher", "../spots.safetensors")),
        Job("slim", "slim", (*SLIM, *EVERY_STEP)),
        Job("controlled", "slim", (*SLIM, *CONTROLS)),
        Job("added", "slim", CONTROLS, base="slim"),
        Job("detect", "detect", (*DETECT, "--save", "images,json,jsonl,csv,yolo,coco,crops")),
        Job("shards", "detect", (*DETECT, "--save", "images,json,yolo"), shards=NUM_SHARDS),
    )
}


def write_inputs(folder: Path) -> None:
    """Writes the data set, the photos and the models that all jobs read, with file names one level up."""
    import cv2  # noqa: PLC0415 (children import this file only for its jobs)

    import seyolo  # noqa: PLC0415

    write_spots(folder / "data", train=8, val=2, test=2)
    (folder / "photos").mkdir()
    for number, image in enumerate(spot_images(6)):
        cv2.imwrite(str(folder / f"photos/{number}.png"), image)
    model = spot_detector(more_layers=1)
    seyolo.save(model, folder / "spots.safetensors")
    seyolo.export(model, folder / "spots.onnx")
