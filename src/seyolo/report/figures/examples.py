"""Example detections of both networks of a slimming run, in the folder `pictures` of the run.

Sample images show what the dense and the slim network detect; further images show the worst mistakes of
the slim one. `index.json` lists the files and counts the mistakes of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.evaluate import Judgement
from seyolo.evaluation.matching import Mistakes, mistakes
from seyolo.files import replacing
from seyolo.media.annotate import draw_boxes
from seyolo.media.images import read_image
from seyolo.report.figures.samples import FOUND, MAX_LABELLED, TRUTH, Image, Sheet, drawn, fitted
from seyolo.report.record import (
    EXAMPLES_FOLDER,
    Examples,
    Miss,
    MistakeCounts,
    SamplePair,
    write_examples,
)
from seyolo.report.tables.stages import shown_split, shown_splits

SHOWN_FROM = 0.25
"""Confidence threshold: the default of `seyolo detect`."""
NUM_SAMPLES, NUM_MISSES = 8, 12
SIDE_PX = 640
JPEG_QUALITY = 80


@dataclass(frozen=True, eq=False)
class _Case:
    """One image with its labels, and the mistakes of both networks on it."""

    split: str
    image: Path
    truth: Truth
    dense: Mistakes
    slim: Mistakes

    def num_mistakes(self) -> int:
        """Counts false negatives and false positives of the slim network."""
        return int(self.slim.missed.sum() + self.slim.false.sum())


def write_example_images(folder: Path, dataset: Dataset, judgements: Mapping[str, Judgement]) -> None:
    """Writes the folder `pictures` of a run.

    Args:
        folder: of the run.
        dataset: that the networks were evaluated on.
        judgements: labels and detections of every stage; the first is the dense network, the last the slim
            one.
    """
    dense, slim = next(iter(judgements.values())), list(judgements.values())[-1]
    cases = {split: _cases(split, dataset, dense, slim) for split in dense}
    images = folder / EXAMPLES_FOLDER
    examples = Examples(
        confidence=SHOWN_FROM,
        mistakes={split: _counts(found) for split, found in cases.items()},
        samples=tuple(_write_samples(images, dataset, dense, slim)),
        misses=tuple(_write_misses(images, cases, dataset.names)),
    )
    write_examples(folder, examples)


def chosen_samples(dataset: Dataset, split: str) -> list[int]:
    """Returns the indices of up to 8 images, spread evenly over a split."""
    count = len(dataset.split(split))
    return [int(number) for number in np.linspace(0, count - 1, min(NUM_SAMPLES, count))]


def _cases(split: str, dataset: Dataset, dense: Judgement, slim: Judgement) -> list[_Case]:
    truths, first = dense[split]
    rows = zip(dataset.split(split), truths, first, slim[split][1], strict=True)
    return [
        _Case(split, sample.image, truth, mistakes(truth, old, SHOWN_FROM), mistakes(truth, new, SHOWN_FROM))
        for sample, truth, old, new in rows
    ]


def _counts(cases: Sequence[_Case]) -> MistakeCounts:
    dense, slim = (
        np.concatenate([np.zeros(0, bool), *missed])
        for missed in ([case.dense.missed for case in cases], [case.slim.missed for case in cases])
    )
    return MistakeCounts(
        objects=len(dense),
        dense_missed=int(dense.sum()),
        slim_missed=int(slim.sum()),
        only_dense_missed=int((dense & ~slim).sum()),
        only_slim_missed=int((slim & ~dense).sum()),
        dense_false=sum(int(case.dense.false.sum()) for case in cases),
        slim_false=sum(int(case.slim.false.sum()) for case in cases),
    )


def _write_samples(folder: Path, dataset: Dataset, dense: Judgement, slim: Judgement) -> Iterator[SamplePair]:
    """Writes each sample image twice, with the detections of either network."""
    split = shown_split(dense)
    samples = dataset.split(split)
    for number, index in enumerate(chosen_samples(dataset, split), start=1):
        image, files = read_image(samples[index].image), {}
        for name, judgement in (("dense", dense), ("slim", slim)):
            files[name] = f"sample-{number}-{name}.jpg"
            found = judgement[split][1][index]
            _write_jpeg(folder / files[name], drawn(image, found, dataset.names, SIDE_PX, SHOWN_FROM))
        yield SamplePair(samples[index].image.name, split, **files)


def _write_misses(folder: Path, cases: Mapping[str, Sequence[_Case]], names: Sequence[str]) -> list[Miss]:
    """Writes the worst images of each test split, the worst first."""
    rows: list[Miss] = []
    splits = shown_splits(list(cases))
    for split in splits:
        wrong = [case for case in cases[split] if case.num_mistakes()]
        worst = sorted(wrong, key=lambda case: (-case.num_mistakes(), case.image))
        for case in worst[: max(1, NUM_MISSES // len(splits))]:
            file = f"miss-{len(rows) + 1}.jpg"
            _write_jpeg(folder / file, _with_mistakes(read_image(case.image), case, names))
            rows.append(_miss(case, file))
    return rows


def _miss(case: _Case, file: str) -> Miss:
    return Miss(
        image=case.image.name,
        split=case.split,
        picture=file,
        objects=len(case.truth.class_ids),
        missed=int(case.slim.missed.sum()),
        false=int(case.slim.false.sum()),
        dense_missed=int(case.dense.missed.sum()),
        dense_false=int(case.dense.false.sum()),
    )


def _with_mistakes(image: Image, case: _Case, names: Sequence[str]) -> Sheet:
    """Draws labels, and on top of them the detections of the slim network; names the mistakes.

    With more than 8 mistakes draws only these, without names.
    """
    sheet, scale = fitted(image, SIDE_PX)
    truth, wrong = case.truth, case.slim
    is_named = case.num_mistakes() <= MAX_LABELLED
    for boxes, texts, colour, is_wrong in (
        (truth.boxes_xyxy, _missed_texts(case, names), TRUTH, wrong.missed),
        (wrong.shown.boxes, _false_texts(case, names), FOUND, wrong.false),
    ):
        drawn_boxes = np.flatnonzero(is_wrong | is_named)
        chosen = [texts[index] if is_named else "" for index in drawn_boxes]
        sheet = draw_boxes(sheet, boxes[drawn_boxes] * scale, chosen, [colour] * len(chosen))
    return sheet


def _missed_texts(case: _Case, names: Sequence[str]) -> list[str]:
    rows = zip(case.truth.class_ids.tolist(), case.slim.missed, strict=True)
    return [f"{_prefix(names, class_id)}missed" if is_missed else "" for class_id, is_missed in rows]


def _false_texts(case: _Case, names: Sequence[str]) -> list[str]:
    shown = case.slim.shown
    rows = zip(shown.class_ids.tolist(), shown.scores.tolist(), case.slim.false, strict=True)
    return [
        f"{_prefix(names, class_id)}false {score:.2f}" if is_false else ""
        for class_id, score, is_false in rows
    ]


def _prefix(names: Sequence[str], class_id: int) -> str:
    """Returns the class name for a label; nothing where there is one class."""
    return f"{names[class_id]} " if len(names) > 1 else ""


def _write_jpeg(path: Path, image: Sheet) -> None:
    with replacing(path) as temporary:
        cv2.imwrite(str(temporary), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
