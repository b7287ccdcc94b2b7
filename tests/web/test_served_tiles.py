"""`serve --tile`: an upload larger than a tile."""

from __future__ import annotations

import cv2

from helpers.square_finder import SquareFinder, squares_image
from seyolo.options.detect import ServeOptions
from seyolo.tiling.grid import Tiling
from seyolo.web.detection import ServedModel


def test_an_upload_is_cut_into_tiles() -> None:
    image = squares_image((200, 300), [[20, 30, 29, 38], [80, 90, 130, 110]])
    data = bytes(cv2.imencode(".png", image)[1])
    answers = {}
    for tiling in (None, Tiling((100, 100))):
        model = ServedModel("squares", SquareFinder(least_px=5), tiling)
        answers[tiling] = model.detect(data, 0.25, 0.6, ServeOptions())["detections"]
    assert len(answers[None]) == 1  # type: ignore[arg-type]
    boxes = [row["box"] for row in answers[Tiling((100, 100))]]  # type: ignore[attr-defined]
    assert sorted(boxes) == [[20, 30, 29, 38], [80, 90, 130, 110]]
