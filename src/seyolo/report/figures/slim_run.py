"""Figures and example images of a slimming run.

The figures show channels, training curves, BN scales and sample detections. The folder `pictures` of the run
has sample images with the detections of the dense and the slim network, and the worst mistakes of the slim
one; its `index.json` lists the files and counts the mistakes of both.
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
from seyolo.files import write_json
from seyolo.json_files import to_json
from seyolo.media.images import read_image
from seyolo.media.showing import write_image
from seyolo.pruning.planning.plan import Plan
from seyolo.report.figures.bn_scales import plot_scales, plot_scales_over_time
from seyolo.report.figures.channels import channel_rows, plot_channels, prunable_part
from seyolo.report.figures.curves import plot_training_curves
from seyolo.report.figures.samples import (
    FOUND,
    MAX_LABELLED,
    TRUTH,
    Layer,
    Sheet,
    class_prefixes,
    draw_layers,
    drawn,
    fitted,
    plot_samples,
    spread_evenly,
)
from seyolo.report.record import (
    EXAMPLES_FOLDER,
    EXAMPLES_INDEX,
    Examples,
    Miss,
    MistakeCounts,
    SamplePair,
    read_scales,
    read_training,
)
from seyolo.report.tables.slim import shown_split, shown_splits
from seyolo.results import SHOWN_FROM, TRAINED_STAGES
from seyolo.torchnet.build import DarknetModel

NUM_SAMPLES, NUM_MISSES = 8, 12
SIDE_PX = 640
JPEG_FLAGS = (cv2.IMWRITE_JPEG_QUALITY, 80)


def write_slim_figures(
    folder: Path,
    models: Mapping[str, DarknetModel],
    plan: Plan,
    dataset: Dataset,
    judgements: Mapping[str, Judgement],
) -> None:
    """Writes channels.png, curves.png, scales.png, scales_over_time.png and samples.jpg.

    `models` and `judgements` are by stage, the slim network last. curves.png and scales_over_time.png need
    the CSV files of the stages in the folder; sample images come from `test`, else from `val`.
    """
    rows = channel_rows(models["sparse"].network, plan.widths)
    plot_channels(*rows, folder / "channels.png", prunable_part(models["sparse"].network, plan))
    stages = ((stage, read_training(folder / stage)) for stage in TRAINED_STAGES)
    if curves := {stage: rows for stage, rows in stages if rows}:
        plot_training_curves(curves, folder / "curves.png")
    plot_scales(_bn_scales(models["dense"]), _bn_scales(models["sparse"]), folder / "scales.png")
    plot_scales_over_time(read_scales(folder / "sparse" / "scales.csv"), folder)
    _plot_samples(folder / "samples.jpg", dataset, judgements)


def _plot_samples(path: Path, dataset: Dataset, judgements: Mapping[str, Judgement]) -> None:
    split = shown_split(judgements["dense"])
    samples = dataset.split(split)
    chosen = spread_evenly(range(len(samples)), NUM_SAMPLES)
    both = judgements["dense"], list(judgements.values())[-1]
    dense, slim = ([judgement[split].detected[index] for index in chosen] for judgement in both)
    images = [samples[index].read() for index in chosen]
    plot_samples(images, dense, slim, dataset.names, path)


def _bn_scales(model: DarknetModel) -> np.ndarray:
    state = model.state_dict().items()
    return np.concatenate([value.numpy() for name, value in state if name.endswith("bn.weight")])


@dataclass(frozen=True, eq=False)
class _Case:
    """One image with its labels, and the mistakes of both networks on it."""

    image: Path
    truth: Truth
    dense: Mistakes
    slim: Mistakes

    def num_mistakes(self) -> int:
        """Counts false negatives and false positives of the slim network."""
        return sum(self.slim.counts())


def write_example_images(folder: Path, dataset: Dataset, judgements: Mapping[str, Judgement]) -> None:
    """Writes the folder `pictures` of a run; `judgements` are by stage, the dense first, the slim last."""
    dense, slim = (list(judgements.values())[stage] for stage in (0, -1))
    cases = {split: _cases(split, dataset, dense, slim) for split in dense}
    images = folder / EXAMPLES_FOLDER
    index = Examples(
        confidence=SHOWN_FROM,
        mistakes={split: _counts(found) for split, found in cases.items()},
        samples=tuple(_write_samples(images, dataset, dense, slim)),
        misses=tuple(_write_misses(images, cases, dataset.names)),
    )
    write_json(images / EXAMPLES_INDEX, to_json(index))


def _cases(split: str, dataset: Dataset, dense: Judgement, slim: Judgement) -> list[_Case]:
    both = dense[split].detected, slim[split].detected
    rows = zip(dataset.split(split), dense[split].truths, *both, strict=True)
    return [
        _Case(sample.image, truth, mistakes(truth, old, SHOWN_FROM), mistakes(truth, new, SHOWN_FROM))
        for sample, truth, old, new in rows
    ]


def _counts(cases: Sequence[_Case]) -> MistakeCounts:
    both = [case.dense for case in cases], [case.slim for case in cases]
    dense, slim = (np.concatenate([np.zeros(0, bool), *(one.missed for one in side)]) for side in both)
    missed = [int(which.sum()) for which in (dense, slim, dense & ~slim, slim & ~dense)]
    return MistakeCounts(len(dense), *missed, *(sum(one.counts()[1] for one in side) for side in both))


def _write_samples(folder: Path, dataset: Dataset, dense: Judgement, slim: Judgement) -> Iterator[SamplePair]:
    """Writes each sample image twice, with the detections of either network."""
    split = shown_split(dense)
    samples = dataset.split(split)
    for number, index in enumerate(spread_evenly(range(len(samples)), NUM_SAMPLES), start=1):
        image, files = samples[index].read(), {}
        for name, judgement in (("dense", dense), ("slim", slim)):
            files[name] = f"sample-{number}-{name}.jpg"
            found = judgement[split].detected[index]
            sheet = drawn(image, found, dataset.names, SIDE_PX, SHOWN_FROM)
            write_image(folder / files[name], sheet, JPEG_FLAGS)
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
            write_image(folder / file, _with_mistakes(case, names), JPEG_FLAGS)
            counts = len(case.truth.class_ids), *case.slim.counts(), *case.dense.counts()
            rows.append(Miss(case.image.name, split, file, *counts))
    return rows


def _with_mistakes(case: _Case, names: Sequence[str]) -> Sheet:
    """Draws labels, and on top of them the detections of the slim network; names the mistakes.

    With more than 8 mistakes draws only these, without names.
    """
    sheet, scale = fitted(read_image(case.image), SIDE_PX)
    truth, wrong, prefixes = case.truth, case.slim, class_prefixes(names)
    missed = [f"{prefixes[class_id]}missed" for class_id in truth.class_ids.tolist()]
    scored = zip(wrong.shown.class_ids.tolist(), wrong.shown.scores.tolist(), strict=True)
    false = [f"{prefixes[class_id]}false {score:.2f}" for class_id, score in scored]
    is_named = case.num_mistakes() <= MAX_LABELLED
    layers = []
    for boxes, texts, colour, is_wrong in (
        (truth.boxes_xyxy, missed, TRUTH, wrong.missed),
        (wrong.shown.boxes, false, FOUND, wrong.false),
    ):
        drawn_boxes = np.flatnonzero(is_wrong | is_named)
        chosen = [texts[index] if is_named and is_wrong[index] else "" for index in drawn_boxes]
        layers.append(Layer(boxes[drawn_boxes], chosen, colour))
    return draw_layers(sheet, truth, layers, scale)
