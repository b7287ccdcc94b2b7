"""Writes ONNX files, images and expected outputs for `test_opencv5.py`, which runs without PyTorch.

PYTHONPATH=tests python tests/opencv5/write_models.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import torch

from helpers.random_weights import calibrated
from seyolo.darknet.zoo import network_from_name
from seyolo.exporting.onnx import describe_onnx, export_onnx
from seyolo.exporting.opencv5 import wrong_in_int8
from seyolo.exporting.parity import sample_image
from seyolo.exporting.quantize import LEAST_IMAGES, Calibration, fit_images, float_layers
from seyolo.letterbox import Fit
from seyolo.opening.network import save
from seyolo.options.export import FileOptions
from seyolo.runtime.inference import Thresholds

NETWORKS = (
    "yolov2-tiny", "yolov3@0.25", "yolov3-spp@0.25", "yolov4@0.25", "yolov4-tiny", "yolov4-csp@0.25",
    "yolov7-tiny", "enetb0-coco", "yolo-fastest-1.1", "se-yolov3@0.25", "cbam-yolov3@0.25",
    "eca-yolov3@0.25", "coordatt-yolov3@0.25", "simam-yolov3@0.25",
)  # fmt: skip
INT8 = ("yolov3@0.25", "yolo-fastest-1.1", "enetb0-coco", "se-yolov3@0.25")
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
        if all(section.in_darknet for section in model.network.layers):
            save(model, folder / f"{name}.cfg")
        export_onnx(model, folder / f"{name}.dynamic.onnx", FileOptions(dynamic_batch=True), size=SIZE)
        scores = np.sort((raw[0, :, 5:] * raw[0, :, 4:5]).ravel())
        between = float(scores[-21:-19].mean())  # no score lies on the threshold
        export_onnx(model, folder / f"{name}.nms.onnx", NMS, size=SIZE, thresholds=Thresholds(between))
    export_onnx(model, folder / "nothing.nms.onnx", NMS, size=SIZE, thresholds=Thresholds(1.0))
    for name in INT8:
        write_int8(name, images, folder)


def write_int8(name: str, images: np.ndarray, folder: Path) -> None:
    """The raw output of the model, and the graph of `--int8 --for opencv5`.

    The gate of the export is left out: it compares detections, and random weights detect nothing.
    """
    network = network_from_name(name, num_classes=2)
    model = calibrated(network, torch.from_numpy(images))
    with torch.inference_mode():
        np.save(folder / f"{name}.int8.npy", model(torch.from_numpy(images)).numpy())
    others = sample_image(*SIZE, np.random.default_rng(1), num_images=LEAST_IMAGES)
    planes = [(image.transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8) for image in others]
    fitted = fit_images(planes, Fit.of(network.net, SIZE))
    layers = float_layers(network, SIZE) | wrong_in_int8(network, SIZE)
    calibration = Calibration(describe_onnx(model, SIZE), layers, fitted)
    onnx.save(calibration.quantized(calibration.layers), str(folder / f"{name}.int8.onnx"))


if __name__ == "__main__":
    main()
