"""A detector whose weights are worked out by hand: it finds bright spots, at any precision.

Two convolutions of stride 2 pass the brightness on, each channel with a gain of its own. The head makes it an
objectness: the logit is 12 · (brightness - 0.4) in every cell of 4x4 pixels, and the box is the anchor, large
enough for suppression to leave one box per spot.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from helpers.small_networks import CONVOLUTION, small_network
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.edit import set_letterbox
from seyolo.data.writing import write_data_yaml
from seyolo.torchnet.build import DarknetModel, build

SIZE_PX, CELL_PX = 64, 4
BOX_PX = 40
GAINS = np.geomspace(0.25, 4.0, 8)

Spots = list[tuple[int, int]]
"""Column and row of the cells that spots are centred on."""


def spot_detector(more_layers: int = 0, channels: int = 3) -> DarknetModel:
    """The model, with 1x1 convolutions in between that change nothing, if wanted; 1 channel for grey."""
    layers = CONVOLUTION * 2 + CONVOLUTION.replace("size=3\nstride=2", "size=1\nstride=1") * more_layers
    cfg = small_network(layers, num_anchors=1, size=SIZE_PX).to_cfg().replace("10,20", f"{BOX_PX},{BOX_PX}")
    network = set_letterbox(parse_cfg(cfg.replace("channels=3", f"channels={channels}")), True)
    model = build(network).eval()
    state = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    gains = torch.from_numpy(GAINS).float()
    for layer in range(2 + more_layers):
        state[f"layers.{layer}.bn.weight"] += 1
        state[f"layers.{layer}.bn.running_var"] += 1
        kernel = state[f"layers.{layer}.conv.weight"]
        # The mean of what is read, undoing the gains of the layer in front.
        incoming = gains[None, :, None, None] if layer else torch.ones(1, channels, 1, 1)
        kernel += gains[:, None, None, None] / incoming / kernel[0].numel()
    head = f"layers.{2 + more_layers}.conv"
    state[f"{head}.weight"][4] = 12 / len(gains) / gains[:, None, None]
    state[f"{head}.bias"][4:] = torch.tensor([-4.8, 8.0])
    model.load_state_dict(state)
    return model


def spot_image(spots: Spots) -> np.ndarray:
    """A BGR image, black but for round spots that fade over some six pixels.

    They are centred on the pixel that the convolutions of stride 2 centre a cell on, its first.
    """
    brightness = np.zeros((SIZE_PX, SIZE_PX))
    for column, row in spots:
        across, down = (np.arange(SIZE_PX) - cell * CELL_PX for cell in (column, row))
        brightness = np.maximum(brightness, np.exp(-(across**2 + down[:, None] ** 2) / 32))
    return np.repeat((brightness * 255).astype(np.uint8)[..., None], 3, axis=2)


def draw_spots(generator: np.random.Generator) -> Spots:
    """One or two spots whose boxes lie in the image and do not suppress each other."""
    left, right = int(generator.integers(5, 7)), int(generator.integers(9, 11))
    rows = [int(row) for row in generator.integers(5, 11, 2)]
    return [(left, rows[0]), (right, rows[1])][: int(generator.integers(1, 3))]


def spot_images(count: int, seed: int = 0) -> list[np.ndarray]:
    """Seeded images of spots."""
    generator = np.random.default_rng(seed)
    return [spot_image(draw_spots(generator)) for _ in range(count)]


def write_spots(folder: Path, **counts: int) -> Path:
    """The `data.yaml` of a data set of spots with so many images per split."""
    generator = np.random.default_rng(1)
    side = BOX_PX / SIZE_PX
    for split, count in counts.items():
        (folder / f"images/{split}").mkdir(parents=True)
        (folder / f"labels/{split}").mkdir(parents=True)
        for number in range(count):
            spots = draw_spots(generator)
            cv2.imwrite(str(folder / f"images/{split}/{number}.png"), spot_image(spots))
            rows = [
                f"0 {(x + 0.5) * CELL_PX / SIZE_PX} {(y + 0.5) * CELL_PX / SIZE_PX} {side} {side}\n"
                for x, y in spots
            ]
            (folder / f"labels/{split}/{number}.txt").write_text("".join(rows))
    write_data_yaml(folder / "data.yaml", {split: f"images/{split}" for split in counts}, ("spot",))
    return folder / "data.yaml"
