"""How far our output is from OpenCV 4's Darknet reader and from ONNX Runtime, network by network.

    python benchmarks/parity.py [--real FOLDER] [--out docs/evidence/parity.md] [NAME ...]

Real networks (`x.cfg` with `x.weights` in FOLDER) look at FOLDER/images/dog.jpg. Networks of the zoo have
their published size and depth and random weights whose statistics were calibrated on an image. The error is
the largest difference, relative to the largest value, of boxes and of scores (the worse of the two).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.graph import num_classes
from seyolo.darknet.sections import Region
from seyolo.darknet.zoo import ZOO, network_from_name
from seyolo.errors import BackendError
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.parity import relative_error, sample_image
from seyolo.files import write_text
from seyolo.opening.network import load, save
from seyolo.runtime.choice import open_backend
from seyolo.runtime.opencv_backend import read_net, to_raw
from seyolo.torchnet.build import DarknetModel

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.random_weights import calibrated

PREAMBLE = """# Parity: our output compared with other readers

```text
python benchmarks/parity.py --real FOLDER --out docs/evidence/parity.md
```

writes this page: the largest difference of boxes and scores, relative to the largest value. The networks
listed first have their real weights and run on a photo. Those from `yolov2` on have their published size and
depth with calibrated random weights, which magnify rounding.

"""
HEADER = "| network | size | params | GMACs | OpenCV 4 | ONNX Runtime |\n|---|---|---:|---:|---:|---:|\n"


@dataclass(frozen=True)
class Case:
    """A model and the image it looks at; `files` are the cfg and weights that OpenCV reads."""

    name: str
    model: DarknetModel
    image: torch.Tensor
    files: tuple[Path, Path] | None = None


def real_cases(folder: Path) -> Iterator[Case]:
    """Every cfg of the folder with its weights."""
    photo = cv2.imread(str(folder / "images" / "dog.jpg"))
    for cfg in sorted(folder.glob("*.cfg")):
        weights = cfg.with_suffix(".weights")
        model = load(cfg, weights)
        net = model.network.net
        assert photo is not None, folder
        resized = cv2.resize(photo, (net.width, net.height))[:, :, ::-1]
        image = torch.from_numpy(resized.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        yield Case(cfg.stem, model, image, (cfg, weights))


def zoo_cases(names: list[str]) -> Iterator[Case]:
    """Networks of the zoo with calibrated random weights."""
    for name in names:
        network = network_from_name(name)
        size = network.net.height, network.net.width
        image = torch.from_numpy(sample_image(*size, np.random.default_rng(4)))
        yield Case(name, calibrated(network, image), image)


def joined(raw: np.ndarray) -> np.ndarray:
    """Rows with class scores times objectness, as OpenCV gives them and detection uses them."""
    rows: np.ndarray = raw.copy()
    rows[..., 5:] *= rows[..., 4:5]
    return rows


def opencv_error(case: Case, expected: np.ndarray, folder: Path) -> float | None:
    """None where OpenCV cannot read the network."""
    if case.files is None:
        save(case.model, folder / "x.cfg")
    cfg, weights = case.files or (folder / "x.cfg", folder / "x.weights")
    network = read_cfg(cfg)
    try:
        net, outputs = read_net(network, weights)
    except BackendError:
        return None
    net.setInput(case.image.numpy())
    rows = np.concatenate(net.forward(outputs), axis=0)
    theirs = joined(to_raw(rows, (network.net.height, network.net.width))[None])
    ours = joined(expected)
    if any(isinstance(section, Region) for section in case.model.network.layers):
        ours[..., 5:] *= theirs[..., 5:] > 0  # OpenCV suppresses the boxes of a [region] by itself
    return relative_error(theirs, ours)


def onnx_error(case: Case, expected: np.ndarray, folder: Path) -> float:
    """Of the exported file on ONNX Runtime."""
    path = export_onnx(case.model, folder / "x.onnx").files[0]
    return relative_error(joined(open_backend(path).infer(case.image.numpy())), joined(expected))


def row(case: Case) -> str:
    """One line of the table."""
    network = case.model.network
    with torch.inference_mode():
        expected = case.model(case.image).numpy()
    with tempfile.TemporaryDirectory() as name:
        errors = opencv_error(case, expected, Path(name)), onnx_error(case, expected, Path(name))
    counted = cost(network)
    figures = " | ".join("cannot read it" if error is None else f"{error:.1e}" for error in errors)
    size = f"{network.net.width}x{network.net.height}, {num_classes(network)} classes"
    return f"| {case.name} | {size} | {counted.params / 1e6:.2f} M | {counted.macs / 1e9:.2f} | {figures} |"


def main() -> None:
    """Prints the table row by row and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks of the zoo; all without gates by default")
    parser.add_argument("--real", type=Path, help="a folder of cfg files with weights")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    options = parser.parse_args()
    plain = list(ZOO)
    rows = []
    print(HEADER, end="", flush=True)
    for cases in (real_cases(options.real) if options.real else (), zoo_cases(options.names or plain)):
        for case in cases:
            rows.append(row(case))
            print(rows[-1], flush=True)
    if options.out:
        write_text(options.out, PREAMBLE + HEADER + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
