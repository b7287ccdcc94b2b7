"""A detector in a loop: what is found is filtered, counted and drawn. Its network is a backend of your own.

`seyolo.Detector` takes a file, `seyolo.Detector("slim.onnx")`, or, as here, any object with these four
attributes and `infer`: this one boxes what is bright, so that the program needs no trained model. It prints

    <Detector: this bright model, 128x128 px, finds lamp>
    image 0: <Detections: 1 lamp; scores 0.90 to 0.90>
      lamp 0.90 at 40, 60, 104, 108
    image 1: <Detections: none>
    image 2: <Detections: 1 lamp; scores 0.90 to 0.90>
      lamp 0.90 at 120, 60, 184, 108
    2 lamps in 3 images
"""

from __future__ import annotations

import cv2
import numpy as np

import seyolo
from seyolo.letterbox import Mode


class Bright:
    """Boxes what is brighter than half of white."""

    name = "bright"
    input_size = (128, 128)
    names = ("lamp",)
    letterbox_mode: Mode = "letterbox"

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """Images (N, 3, H, W), RGB in [0, 1], to (N, P, 5 + C): cx, cy, w, h, objectness, classes."""
        return np.stack([self._box(image) for image in batch])

    def _box(self, image: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(image.min(axis=0) > 0.5)
        if len(rows) == 0:
            return np.zeros((1, 6), np.float32)
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        return np.array([[*box, 0.9, 1.0]], np.float32)


def room(left: int | None) -> np.ndarray:
    """A dark room of 256x192 px, with a lamp where it has one."""
    image = np.full((192, 256, 3), 40, np.uint8)
    if left is not None:
        image[60:108, left : left + 64] = 250
    return image


def main() -> None:
    """Looks at three images and writes one with its box."""
    detector = seyolo.Detector(Bright(), confidence=0.5)
    print(detector)
    images = [room(40), room(None), room(120)]
    num_lamps = 0
    for number, found in enumerate(detector.detect_many(images)):
        print(f"image {number}: {found}")
        for name, _, score, box in found.filter(0.5, classes=["lamp"]):
            print(f"  {name} {score:.2f} at {', '.join(f'{value:.0f}' for value in box)}")
        num_lamps += len(found)
        cv2.imwrite(f"found-{number}.png", found.draw(images[number]))
    print(f"{num_lamps} lamps in {len(images)} images")


if __name__ == "__main__":
    main()
