"""Figures of a training run and of a validation: first batch, curves, labels and detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.datasets import Dataset
from seyolo.data.samples import Sample
from seyolo.detections import Detections
from seyolo.evaluation.evaluate import Judgement, curves_by_split, judged, truth_of
from seyolo.media.annotate import FONT, Colour, class_colour, contact_sheet, draw_boxes
from seyolo.media.showing import write_image
from seyolo.report.figures.bn_scales import plot_scales_over_time
from seyolo.report.figures.curves import Row, plot_detection_curves, plot_training_curves
from seyolo.report.figures.samples import (
    FOUND,
    GAP_PX,
    IGNORED_REGION,
    INK,
    LABEL_PX,
    MAX_LABELLED,
    TRUTH,
    WHITE,
    Image,
    Layer,
    Sheet,
    class_prefixes,
    draw_layers,
    fitted,
    spread_evenly,
)
from seyolo.report.record import read_curves, read_scales, write_curves
from seyolo.results import SHOWN_FROM
from seyolo.torchnet.build import DarknetModel

BATCH_FILE = "train_batch.jpg"
PREDICTIONS_FILE = "val_predictions.jpg"
MAX_IMAGES = 16
CELL_PX = 320


def write_batch(
    folder: Path,
    images: UInt8[np.ndarray, "b c h w"],
    targets: Float[np.ndarray, "m 6"],
    names: Sequence[str],
) -> None:
    """Writes train_batch.jpg: the first training batch with its labels.

    `images` are RGB or grey. Rows of `targets` are batch index, class id (below 0: an ignored region), and
    box (cx, cy, w, h) in input pixels.
    """
    cells = []
    for index, image in enumerate(images[:MAX_IMAGES]):
        rows = targets[targets[:, 0] == index]
        class_ids = rows[:, 1].astype(int).tolist()
        bgr = np.broadcast_to(image[::-1], (3, *image.shape[1:]))  # one plane of grey stands for three
        cell, scale = fitted(np.ascontiguousarray(bgr.transpose(1, 2, 0)), CELL_PX)
        colours = [class_colour(number) if number >= 0 else IGNORED_REGION for number in class_ids]
        texts = _texts([names[number] if number >= 0 else "ignored" for number in class_ids])
        cells.append(draw_boxes(cell, cxcywh_to_xyxy(rows[:, 2:]) * scale, texts, colours))
    head = [("first training batch, with its labels", INK)]
    write_image(folder / BATCH_FILE, _headed(contact_sheet(cells, gap_px=GAP_PX), head))


def write_train_figures(
    folder: Path,
    model: DarknetModel,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    history: Sequence[Row],
) -> None:
    """Writes the figures of a finished run.

    These are curves.png; val_predictions.jpg; precision_recall.png and confidence.png from its curves.json;
    and scales_over_time.png from its scales.csv, where there is one.

    Args:
        folder: of the run.
        model: the best one.
        samples: labelled validation images, of which up to 16 are taken evenly.
        size_hw: height and width of the input in pixels.
        history: one row per epoch, as in `results.csv`, or behind the start, see `read_training`.
    """
    plot_training_curves({"train": history}, folder / "curves.png")
    for curves in read_curves(folder).values():
        plot_detection_curves(curves, folder)
    plot_scales_over_time(read_scales(folder / "scales.csv"), folder)
    picked = spread_evenly(samples, MAX_IMAGES)
    found = judged(model, picked, size_hw).detected
    _write_predictions(list(zip(picked, found, strict=True)), model.names, folder / PREDICTIONS_FILE)


def write_validation_figures(folder: Path, dataset: Dataset, judgement: Judgement) -> None:
    """Writes curves.json, its two charts, and SPLIT_predictions.jpg of up to 16 images per split.

    A split without labels has no curves.
    """
    curves = curves_by_split(judgement, len(dataset.names))
    if curves:
        write_curves(folder, {"val": curves})
        plot_detection_curves(curves, folder)
    for split, one in judgement.items():
        shown = spread_evenly(list(zip(dataset.split(split), one.detected, strict=True)), MAX_IMAGES)
        _write_predictions(shown, dataset.names, folder / f"{split}_predictions.jpg")


def _write_predictions(pairs: Sequence[tuple[Sample, Detections]], names: Sequence[str], path: Path) -> None:
    cells = [_compared(*pair, names) for pair in pairs]
    head = [("labels", TRUTH), (f"found (score {SHOWN_FROM:g} and above)", FOUND)]
    write_image(path, _headed(contact_sheet(cells, gap_px=GAP_PX), head))


def _compared(sample: Sample, found: Detections, names: Sequence[str]) -> Image:
    """Draws labels on an image, and on top of them detections with scores."""
    image = sample.read()
    cell, scale = fitted(image, CELL_PX)
    truth = truth_of(sample, *image.shape[:2])
    shown = class_prefixes(names)
    labels = [shown[class_id].strip() for class_id in truth.class_ids.tolist()]
    scores = zip(found.class_ids.tolist(), found.scores.tolist(), strict=True)
    scored = [f"{shown[class_id]}{score:.2f}" for class_id, score in scores]
    layers = [Layer(truth.boxes_xyxy, _texts(labels), TRUTH), Layer(found.boxes, _texts(scored), FOUND)]
    return draw_layers(cell, truth, layers, scale)


def _texts(texts: Sequence[str]) -> list[str]:
    return list(texts) if len(texts) <= MAX_LABELLED else [""] * len(texts)


def _headed(sheet: Sheet, words: Sequence[tuple[str, Colour]]) -> Sheet:
    """Puts a legend above a sheet: words, each after a square of its colour."""
    head = np.full((LABEL_PX, sheet.shape[1], 3), WHITE, np.uint8)
    left = GAP_PX
    for text, colour in words:
        if colour != INK:
            cv2.rectangle(head, (left, 10), (left + 14, 24), colour, cv2.FILLED)
            left += 22
        cv2.putText(head, text, (left, LABEL_PX - 8), FONT, 0.5, INK, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, FONT, 0.5, 1)[0][0] + 30
    return np.concatenate([head, sheet])
