"""What the pages of the documentation assume to be there, made small and named as on the pages.

`make_once` makes a data set and runs on it; each other function puts one thing into the folder of a page.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import cv2
import torch

import seyolo
from helpers.foreign_models import columns_output, ultralytics_metadata, write_constant
from helpers.random_weights import calibrated
from helpers.written_oxford import add
from seyolo.darknet.zoo import network_from_name
from seyolo.data.synthetic.dataset import write_dataset

MODEL, SIZE_PX = "yolov3-tiny@0.5", 64


def make_once(made: Path) -> None:
    """Draws `hands`, and trains and slims a detector on it into `runs`."""
    data = write_dataset(
        made / "hands", num_train=16, num_val=2, num_test=2, size_px=(SIZE_PX, SIZE_PX), seed=3
    )
    small = {"size": SIZE_PX, "epochs": 1, "batch": 4}
    seyolo.train(data, MODEL, folder=made / "runs/train", **small)
    seyolo.slim(data, MODEL, folder=made / "runs/slim", **small)


def hands(made: Path, folder: Path) -> None:
    """`hands/data.yaml`: twenty drawn images."""
    shutil.copytree(made / "hands", folder / "hands")


def photos(made: Path, folder: Path) -> None:
    """`photo.jpg`, older than those in `photos/`, and others; the one in `photos/deep/` is mirrored."""
    image = cv2.imread(str(made / "hands/images/test/000000.jpg"))
    for name in ("photo.jpg", "other.png", "dog.jpg", "photos/a.jpg", "photos/b.jpg", "photos/deep/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), image[:, ::-1] if "deep" in name else image)


def clips(made: Path, folder: Path) -> None:
    """`clip.mp4` and `clips/`: videos of four frames."""
    image = cv2.imread(str(made / "hands/images/test/000000.jpg"))
    for name in ("clip.mp4", "clips/one.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"mp4v"), 20, image.shape[1::-1])
        for _ in range(4):
            writer.write(image)
        writer.release()


def archive(made: Path, folder: Path) -> None:
    """`hand_dataset.tar.gz` in the form of Oxford Hand, with two images per split."""
    root = folder / "unpacked/hand_dataset"
    for seed, source in enumerate(("training", "validation", "test") * 2):
        add(root, source, f"VOC_{seed}", seed, [[(20.0, 5.0), (70.0, 5.0), (70.0, 50.0), (20.0, 50.0)]])
    with tarfile.open(folder / "hand_dataset.tar.gz", "w:gz") as file:
        file.add(root, "hand_dataset")
    shutil.rmtree(folder / "unpacked")


def darknet(made: Path, folder: Path) -> None:
    """`yolov4-tiny.cfg` and `.weights` as Darknet has them but narrow, with random weights; `coco.names`."""
    images = torch.rand((1, 3, 96, 96), generator=torch.Generator().manual_seed(0))
    seyolo.save(calibrated(network_from_name("yolov4-tiny@0.125"), images), folder / "yolov4-tiny.cfg")
    (folder / "coco.names").write_text("".join(f"thing {number}\n" for number in range(80)))


def runs(made: Path, folder: Path) -> None:
    """`runs/slim/slim` and `slim-2`, `runs/train/train` and `baseline`: finished runs."""
    for name in ("slim/slim", "slim/slim-2", "train/train", "train/baseline"):
        shutil.copytree(made / "runs" / name.partition("/")[0], folder / "runs" / name)


def hands_run(made: Path, folder: Path) -> None:
    """`runs/slim/hands`: a finished run."""
    shutil.copytree(made / "runs/slim", folder / "runs/slim/hands")


def hand(made: Path, folder: Path) -> None:
    """`hand.onnx`, `hand.cfg` and `hand.weights`: a detector of hands that is not slim yet."""
    shutil.copy(made / "runs/slim/dense.onnx", folder / "hand.onnx")
    seyolo.save(seyolo.load(made / "runs/slim/dense/best.safetensors"), folder / "hand.cfg")


def foreign(made: Path, folder: Path) -> None:
    """`best.onnx`: a detector as Ultralytics exports it."""
    write_constant(folder / "best.onnx", columns_output(1), ultralytics_metadata() | {"names": "{0: 'hand'}"})


def dense_and_slim(made: Path, folder: Path) -> None:
    """`dense.onnx`, `slim.onnx`, `slim_int8.onnx`, `slim.cfg` and `slim.weights`."""
    for name in ("dense.onnx", "slim.onnx", "slim.cfg", "slim.weights"):
        shutil.copy(made / "runs/slim" / name, folder / name)
    shutil.copy(folder / "slim.onnx", folder / "slim_int8.onnx")


def interrupt(run: Path) -> None:
    """Leaves a finished run of `detect` as if it had been stopped before its last image."""
    lines = (run / "detections.jsonl").read_text().splitlines(keepends=True)
    (run / "detections.jsonl").unlink()
    (run / "detections.json").unlink()
    (run / "detections.partial.jsonl").write_text("".join(lines[:-1]))
