"""The pictures of a training run: its first batch, its curves, and what its best model finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.datasets import Sample
from seyolo.detections import Detections
from seyolo.evaluation.evaluate import predict, truth_of
from seyolo.media.annotate import FONT, Colour, class_colour, contact_sheet, draw_boxes
from seyolo.media.pictures import read_picture
from seyolo.network.build import DarknetModel
from seyolo.report.plots import Row, plot_curves
from seyolo.report.samples import GAP_PX, INK, LABEL_PX, MAX_LABELLED, WHITE, Picture, Sheet, write_sheet

BATCH_FILE = "train_batch.jpg"
PREDICTIONS_FILE = "val_predictions.jpg"
CURVES_FILE = "curves.png"
MAX_PICTURES = 16
CELL_PX = 320
CONFIDENCE = 0.25
# Okabe and Ito's sky blue and orange: neither is a stage of slimming, see `report.style`.
TRUTH: Colour = (233, 180, 86)
FOUND: Colour = (0, 159, 230)


def write_batch(
    folder: Path,
    images_rgb: UInt8[np.ndarray, "b 3 s s"],
    targets: Float[np.ndarray, "m 6"],
    names: Sequence[str],
) -> None:
    """Writes train_batch.jpg: what the network sees in its first step, with its labels.

    Args:
        folder: of the run.
        images_rgb: the batch as it is trained on.
        targets: rows of batch index, class id, and box (cx, cy, w, h) in input pixels.
        names: of the classes.
    """
    cells = []
    for index, image in enumerate(images_rgb[:MAX_PICTURES]):
        rows = targets[targets[:, 0] == index]
        class_ids = rows[:, 1].astype(int).tolist()
        picture, scale = _fitted(np.ascontiguousarray(image.transpose(1, 2, 0)[:, :, ::-1]))
        colours = [class_colour(class_id) for class_id in class_ids]
        texts = _texts([names[class_id] for class_id in class_ids])
        cells.append(draw_boxes(picture, cxcywh_to_xyxy(rows[:, 2:]) * scale, texts, colours))
    head = [("first training batch, with its labels", INK)]
    write_sheet(_headed(contact_sheet(cells, gap_px=GAP_PX), head), folder / BATCH_FILE)


def write_results(
    folder: Path,
    model: DarknetModel,
    samples: Sequence[Sample],
    size_px: int,
    history: Sequence[Row],
) -> None:
    """Writes curves.png, and val_predictions.jpg: labels and detections on pictures for validation.

    Args:
        folder: of the run.
        model: the best one; its names are the classes'.
        samples: labelled pictures, of which up to sixteen are taken evenly.
        size_px: side of the square input.
        history: one row per epoch, as in `results.csv`.
    """
    plot_curves({"train": history}, folder / CURVES_FILE)
    chosen = np.linspace(0, len(samples) - 1, min(MAX_PICTURES, len(samples))).astype(int)
    picked = [samples[index] for index in chosen]
    found = predict(model, picked, (size_px, size_px), confidence=CONFIDENCE)
    pairs = zip(picked, found, strict=True)
    cells = [_compared(sample, detections, model.names) for sample, detections in pairs]
    head = [("labels", TRUTH), (f"found (score {CONFIDENCE:g} and above)", FOUND)]
    write_sheet(_headed(contact_sheet(cells, gap_px=GAP_PX), head), folder / PREDICTIONS_FILE)


def _compared(sample: Sample, found: Detections, names: Sequence[str]) -> Picture:
    """A picture with its labels, and on top of them what was found, with scores."""
    image = read_picture(sample.image)
    picture, scale = _fitted(image)
    truth = truth_of(sample, *image.shape[:2])
    # Among one class the colour says it all.
    shown = [f"{name} " for name in names] if len(names) > 1 else [""]
    labels = [shown[class_id].strip() for class_id in truth.class_ids.tolist()]
    scores = zip(found.class_ids.tolist(), found.scores.tolist(), strict=True)
    scored = [f"{shown[class_id]}{score:.2f}" for class_id, score in scores]
    picture = draw_boxes(picture, truth.boxes_xyxy * scale, _texts(labels), [TRUTH] * len(labels))
    return draw_boxes(picture, found.boxes * scale, _texts(scored), [FOUND] * len(scored))


def _fitted(image: Picture) -> tuple[Picture, float]:
    """The picture at its size on the sheet, and the factor: text drawn after resizing stays legible."""
    scale = CELL_PX / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=interpolation), scale


def _texts(texts: Sequence[str]) -> list[str]:
    return list(texts) if len(texts) <= MAX_LABELLED else [""] * len(texts)


def _headed(sheet: Sheet, words: Sequence[tuple[str, Colour]]) -> Sheet:
    """The sheet under a line of words, each behind a square of its colour where it names one."""
    head = np.full((LABEL_PX, sheet.shape[1], 3), WHITE, np.uint8)
    left = GAP_PX
    for text, colour in words:
        if colour != INK:
            cv2.rectangle(head, (left, 10), (left + 14, 24), colour, cv2.FILLED)
            left += 22
        cv2.putText(head, text, (left, LABEL_PX - 8), FONT, 0.5, INK, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, FONT, 0.5, 1)[0][0] + 30
    return np.concatenate([head, sheet])
