"""Results of `slim` and `evaluate` as Python prints them and as notebooks show them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from seyolo.data.datasets import Dataset
from seyolo.evaluation.ap import Metrics
from seyolo.evaluation.evaluate import Judgement
from seyolo.notebook import file_html, head_html, line_html, table_html
from seyolo.report.figures.train_run import write_validation_figures
from seyolo.report.tables.classes import class_parts, slim_classes
from seyolo.report.tables.fitting import FittingTable
from seyolo.report.tables.slim import stage_table
from seyolo.report.text import share_text
from seyolo.report.verdict import Verdict, slim_verdict, summary
from seyolo.results import SlimResults, read_start


class SlimOutcome(dict[str, Any]):
    """The content of `results.json` of a run of `slim`, and the run's folder."""

    def __init__(self, results: SlimResults, folder: Path) -> None:
        super().__init__(results.to_json())
        self.folder = folder

    def __repr__(self) -> str:
        verdict, said = self._said(SlimResults.from_json(self))
        return f"<SlimOutcome: {' '.join([*verdict.harm, said])}; {self.folder}>"

    def _said(self, results: SlimResults) -> tuple[Verdict, str]:
        """Returns the verdict, and the change in one line."""
        verdict = slim_verdict(results, read_start(self.folder))
        return verdict, summary(results, verdict)

    def _repr_html_(self) -> str:
        """Returns the verdict, the tables, channels and sample images, for notebooks."""
        results = SlimResults.from_json(self)
        tables = _parts_html([stage_table(results), *slim_classes(results).parts()])
        images = [file_html(self.folder / name, name) for name in ("channels.png", "samples.jpg")]
        report = line_html(f"all of it on one page: {self.folder / 'report.html'}")
        verdict, said = self._said(results)
        return "".join([*map(head_html, [*verdict.lines(), said]), tables, *images, report])


class Evaluation(dict[str, Metrics]):
    """Metrics by split, and the detections that they come from."""

    def __init__(self, metrics: Mapping[str, Metrics], dataset: Dataset, judgement: Judgement) -> None:
        super().__init__(metrics)
        self._dataset, self._judgement = dataset, judgement

    def _repr_html_(self) -> str:
        """Returns tables, curves, and images with ground truth and detections, for notebooks."""
        header = ["split", "AP", "AP@0.5", "AP@0.75", "recall", "images", "objects"]
        rows = [
            [
                split,
                *map(share_text, (found.ap, found.ap50, found.ap75, found.recall)),
                f"{found.num_images:,}",
                f"{found.num_objects:,}",
            ]
            for split, found in self.items()
        ]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_validation_figures(folder, self._dataset, self._judgement)
            names = ["precision_recall.png", *(f"{split}_predictions.jpg" for split in self)]
            images = [file_html(folder / name, name) for name in names]
        by_class = _parts_html(class_parts(self, ""))
        return "".join([table_html(header, rows, left=frozenset({0})), by_class, *images])


def _parts_html(parts: Iterable[str | FittingTable]) -> str:
    return "".join(line_html(part) if isinstance(part, str) else part.html() for part in parts)
