"""Writes ONNX files, images and expected outputs for `test_opencv5.py`, which runs without PyTorch.

PYTHONPATH=tests python tests/opencv5/write_models.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from helpers.random_weights import calibrated
from seyolo.darknet.zoo import network_from_name
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.parity import sample_image
from seyolo.opening.network import save
from seyolo.options.export import FileOptions
from seyolo.runtime.inference import Thresholds

NETWORKS = (
    "yolov2-tiny", "yolov3@0.25", "yolov3-spp@0.25", "yolov4@0.25", "yolov4-tiny", "yolov4-csp@0.25",
    "yolov7-tiny", "enetb0-coco", "yolo-fastest-1.1", "se-yolov3@0.25", "cbam-yolov3@0.25",
)  # fmt: skip
SIZE = (320, 320)
NMS = FileOptions(nms=True)


def main() -> None:
    """Two images, and per network the raw output of the model and three files."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    images = sample_image(*SIZE, np.random.default_rng(0), num_images=2)
    np.save(folder / "pictures.npy", images)
    for name in NETWORKS:
        model = calibrated(network_from_name(name, num_classes=2), torch.from_numpy(images))
        for convolution, _ in model.head_convolutions():
            convolution.weight.data *= 2.5  # some scores pass a detector's threshold
        with torch.inference_mode():
            raw = model(torch.from_numpy(images)).numpy()
        np.save(folder / f"{name}.npy", raw)
        export_onnx(model, folder / f"{name}.onnx", size=SIZE)
        if not name.startswith("cbam"):  # which Darknet does not have
            save(model, folder / f"{name}.cfg")
        export_onnx(model, folder / f"{name}.dynamic.onnx", FileOptions(dynamic_batch=True), size=SIZE)
        scores = np.sort((raw[0, :, 5:] * raw[0, :, 4:5]).ravel())
        between = float(scores[-21:-19].mean())  # no score lies on the threshold
        export_onnx(model, folder / f"{name}.nms.onnx", NMS, size=SIZE, thresholds=Thresholds(between))
    export_onnx(model, folder / "nothing.nms.onnx", NMS, size=SIZE, thresholds=Thresholds(1.0))


if __name__ == "__main__":
    main()
