"""What a page about a slimming run needs of its networks' detections, kept in the run's folder.

`curves.json` holds the curves of every stage and split. `images/` holds sample images with what the dense
and the slim network find on them, and the images on which the slim one is wrong most often;
`images/index.json` says what is what, and counts the mistakes of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.curves import detection_curves
from seyolo.evaluation.evaluate import Judgement
from seyolo.evaluation.matching import Mistakes, mistakes
from seyolo.files import replacing, write_json
from seyolo.media.annotate import draw_boxes
from seyolo.media.images import read_image
from seyolo.report.figures.samples import FOUND, MAX_LABELLED, TRUTH, Image, Sheet, drawn, fitted
from seyolo.report.tables.stages import shown_split, shown_splits

CURVES_FILE = "curves.json"
IMAGES_FOLDER = "pictures"
INDEX_FILE = "index.json"
SHOWN_FROM = 0.25
"""The confidence of `seyolo detect`."""
NUM_SAMPLES, NUM_MISSES = 8, 12
SIDE_PX = 640
JPEG_QUALITY = 80


@dataclass(frozen=True, eq=False)
class _Case:
    """One image with its labels and what both networks get wrong on it."""

    split: str
    image: Path
    truth: Truth
    dense: Mistakes
    slim: Mistakes

    def num_mistakes(self) -> int:
        """Of the slim network."""
        return int(self.slim.missed.sum() + self.slim.false.sum())


def write_evidence(folder: Path, dataset: Dataset, judgements: Mapping[str, Judgement]) -> None:
    """Writes curves.json and images/ into a run's folder.

    Args:
        folder: of the run.
        dataset: that was judged on.
        judgements: what each stage finds on every split but train; the first is the dense network, the last
            the slim one.
    """
    write_json(folder / CURVES_FILE, _curves(judgements, len(dataset.names)))
    dense, slim = next(iter(judgements.values())), list(judgements.values())[-1]
    cases = {split: _cases(split, dataset, dense, slim) for split in dense}
    images = folder / IMAGES_FOLDER
    index = {
        "confidence": SHOWN_FROM,
        "mistakes": {split: _counts(found) for split, found in cases.items()},
        "samples": _write_samples(images, dataset, dense, slim),
        "misses": _write_misses(images, cases, dataset.names),
    }
    write_json(images / INDEX_FILE, index)


def chosen_samples(dataset: Dataset, split: str) -> list[int]:
    """The numbers of a few images, spread evenly over a split."""
    count = len(dataset.split(split))
    return [int(number) for number in np.linspace(0, count - 1, min(NUM_SAMPLES, count))]


def _curves(judgements: Mapping[str, Judgement], num_classes: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for stage, judgement in judgements.items():
        curves = {split: detection_curves(*judged, num_classes) for split, judged in judgement.items()}
        values[stage] = {split: found.to_dict() for split, found in curves.items() if found is not None}
    return values


def _cases(split: str, dataset: Dataset, dense: Judgement, slim: Judgement) -> list[_Case]:
    truths, first = dense[split]
    rows = zip(dataset.split(split), truths, first, slim[split][1], strict=True)
    return [
        _Case(split, sample.image, truth, mistakes(truth, old, SHOWN_FROM), mistakes(truth, new, SHOWN_FROM))
        for sample, truth, old, new in rows
    ]


def _counts(cases: Sequence[_Case]) -> dict[str, int]:
    """How many objects there are, and how many mistakes each network makes."""
    dense, slim = (
        np.concatenate([np.zeros(0, bool), *missed])
        for missed in ([case.dense.missed for case in cases], [case.slim.missed for case in cases])
    )
    return {
        "objects": len(dense),
        "dense_missed": int(dense.sum()),
        "slim_missed": int(slim.sum()),
        "only_dense_missed": int((dense & ~slim).sum()),
        "only_slim_missed": int((slim & ~dense).sum()),
        "dense_false": sum(int(case.dense.false.sum()) for case in cases),
        "slim_false": sum(int(case.slim.false.sum()) for case in cases),
    }


def _write_samples(folder: Path, dataset: Dataset, dense: Judgement, slim: Judgement) -> list[dict[str, str]]:
    split = shown_split(dense)
    samples, rows = dataset.split(split), []
    for number, index in enumerate(chosen_samples(dataset, split), start=1):
        image, row = read_image(samples[index].image), {"image": samples[index].image.name, "split": split}
        for name, judgement in (("dense", dense), ("slim", slim)):
            row[name] = f"sample-{number}-{name}.jpg"
            found = judgement[split][1][index]
            _write_jpeg(folder / row[name], drawn(image, found, dataset.names, SIDE_PX, SHOWN_FROM))
        rows.append(row)
    return rows


def _write_misses(
    folder: Path, cases: Mapping[str, Sequence[_Case]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The worst images of each test split, the worst first."""
    rows: list[dict[str, Any]] = []
    splits = shown_splits(list(cases))
    for split in splits:
        wrong = [case for case in cases[split] if case.num_mistakes()]
        worst = sorted(wrong, key=lambda case: (-case.num_mistakes(), case.image))
        for case in worst[: max(1, NUM_MISSES // len(splits))]:
            file = f"miss-{len(rows) + 1}.jpg"
            _write_jpeg(folder / file, _with_mistakes(read_image(case.image), case, names))
            rows.append(_miss(case, file))
    return rows


def _miss(case: _Case, file: str) -> dict[str, Any]:
    return {
        "image": case.image.name,
        "split": case.split,
        "picture": file,
        "objects": len(case.truth.class_ids),
        "missed": int(case.slim.missed.sum()),
        "false": int(case.slim.false.sum()),
        "dense_missed": int(case.dense.missed.sum()),
        "dense_false": int(case.dense.false.sum()),
    }


def _with_mistakes(image: Image, case: _Case, names: Sequence[str]) -> Sheet:
    """The image with its labels, and on top of them what the slim network shows; mistakes are named.

    Where there are too many to be named, only mistakes are drawn.
    """
    sheet, scale = fitted(image, SIDE_PX)
    truth, wrong = case.truth, case.slim
    is_named = case.num_mistakes() <= MAX_LABELLED
    # Among one class the colour says it all.
    prefixes = [f"{name} " for name in names] if len(names) > 1 else [""]
    labels = [
        f"{prefixes[class_id]}missed" if is_missed and is_named else ""
        for class_id, is_missed in zip(truth.class_ids.tolist(), wrong.missed, strict=True)
    ]
    rows = zip(wrong.shown.class_ids.tolist(), wrong.shown.scores.tolist(), wrong.false, strict=True)
    scores = [
        f"{prefixes[class_id]}false {score:.2f}" if is_false and is_named else ""
        for class_id, score, is_false in rows
    ]
    for boxes, texts, colour, is_wrong in (
        (truth.boxes_xyxy, labels, TRUTH, wrong.missed),
        (wrong.shown.boxes, scores, FOUND, wrong.false),
    ):
        drawn_boxes = np.flatnonzero(is_wrong | is_named)
        chosen = [texts[index] for index in drawn_boxes]
        sheet = draw_boxes(sheet, boxes[drawn_boxes] * scale, chosen, [colour] * len(chosen))
    return sheet


def _write_jpeg(path: Path, image: Sheet) -> None:
    with replacing(path) as temporary:
        cv2.imwrite(str(temporary), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
