"""`study`: gates, places, joins, budgets and seeds, every network trained on as many images.

    study.json data.json               settings as last asked for, and fingerprint of the data set
    networks/CELL/dense/               dense training of one gate, place, join and seed
    networks/CELL/BUDGET/              stages of slimming it, as in a run of `slim`
    results/CELL--BUDGET.json          one small file for each finished network
    networks.csv                       a row for each network that is there
    study.csv .md .tex .png .pdf       tables and chart of the results that are there

Networks whose results are there are neither trained nor evaluated again. Several processes, on one machine or
on several that share the folder, each take a shard; elsewhere the files of `results/` are copied together.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Unpack

from seyolo.darknet.cost import cost
from seyolo.darknet.placement import usual_sites
from seyolo.data.datasets import Dataset
from seyolo.data.near_duplicates import training_lines
from seyolo.detecting.run_folder import Shard, parse_shard
from seyolo.errors import BudgetError, SeyoloError, counted
from seyolo.evaluation.evaluate import split_metrics
from seyolo.files import write_json
from seyolo.json_files import read_json, to_json
from seyolo.notebook import file_html, head_html
from seyolo.opening.description import describe
from seyolo.options.keywords import SlimKeywords, StudyKeywords
from seyolo.options.parameters import build
from seyolo.options.slim import USUAL_EPOCHS, SlimOptions
from seyolo.options.study import JOINED, NONE, VARIED, StudyOptions, check_settings
from seyolo.progress import Progress, Silent, duration_text, shown_progress, tell
from seyolo.report.pages.study import write_study
from seyolo.report.pages.write import PAGE_FILE, write_report
from seyolo.report.tables.study import study_table
from seyolo.runs import LOCK_FILE, NewRun, existing_run, locked
from seyolo.study_results import DENSE, RESULTS, STUDY_FILE, Cell, NetworkResult, StudyRow, cells_of
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import limited_threads
from seyolo.training.trackers import OpenTracker, TrackerName, chosen_tracker
from seyolo.verbs.announce import run_start, shortage_lines
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.controls import Contender, timings_of
from seyolo.verbs.effort import with_effort
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.stages import estimate_seconds, stage_config
from seyolo.verbs.start import check_data, open_data, with_model
from seyolo.verbs.study_settings import Settings, common_options

NETWORKS = "networks"
WHOLE = Shard()


@dataclass(frozen=True, repr=False)
class Outcome:
    """A study so far: a row for each variant, the networks that are missing, and the command that goes on."""

    folder: Path
    rows: tuple[StudyRow, ...]
    missing: tuple[str, ...]
    num_seeds: int
    command: str

    def __repr__(self) -> str:
        missing = f", {counted(len(self.missing), 'network')} missing" if self.missing else ""
        return f"<Outcome: {counted(len(self.rows), 'variant')}{missing}; {self.folder}>"

    def _repr_html_(self) -> str:
        """Returns the table and the chart, for notebooks."""
        table = study_table(self.rows, self.num_seeds).html() if self.rows else ""
        return head_html(repr(self)[1:-1]) + table + file_html(self.folder / "study.png", "AP by MACs")


class Keywords(SlimKeywords, StudyKeywords, total=False):
    """Keyword arguments of `study`."""


def study(
    data: str | Path,
    model: str | Path | None = None,
    *,
    options: SlimOptions | None = None,
    folder: str | Path | None = None,
    shard: str | Shard = WHOLE,
    progress: Progress | bool | None = True,
    tracker: TrackerName | OpenTracker | None = None,
    **keywords: Unpack[Keywords],
) -> Outcome:
    """Trains and slims every network of a study, and writes its tables.

    Args:
        data: a data set as it is: a folder, an archive, or the file that describes it.
        model: a zoo name, a `.cfg`, a checkpoint or a shipped detector; by default the checkpoint in
            `weights`, else yolov3@0.25.
        options: what all networks have in common; those that the study varies have their usual values.
        folder: of the study, by default a new one under `runs/study`. One that is there goes on, also with
            other gates, places, joins, budgets and seeds; networks that are done are kept.
        shard: the part of the networks to work on, such as `2/8`.
        progress: as in `slim`.
        tracker: as in `slim`, one for each training stage.
        keywords: the fields of `seyolo.options.slim.SlimOptions` and, for what the networks differ in, those
            of `seyolo.options.study.StudyOptions`: gates, places, joins, budgets and seeds.

    Returns:
        A row per variant, with means and deviations over the seeds; a notebook shows table and chart.

    Raises:
        UsageError: an option that a study varies, or sites that the network does not have.
        TrainingError: the networks of the folder have other options, which the message names, or another
            process works on this shard.
        BudgetError: a budget cannot be met; found out before its networks are trained.

    Example:
        >>> found = seyolo.api.study("hands/data.yaml", "yolov3-tiny", gates="none", seeds=[0, 1])
        >>> [row.variant.budget for row in found.rows]
        ['dense', 'macs=30%']
    """
    given: dict[str, Any] = {**keywords}
    varied = {name: given.pop(name) for name in VARIED.values() if name in given}
    axes = build(StudyOptions, "study", None, varied)
    shard = parse_shard(shard)
    given |= {"data": data, "model": model and str(model)}
    chosen, progress = build(SlimOptions, "study", options, given), shown_progress(progress)
    check_settings(chosen)
    chosen = with_model(chosen, progress)
    if not axes.places:
        axes = replace(axes, places=usual_sites(describe(str(chosen.model))[0]))
    if folder is not None and (Path(folder) / STUDY_FILE).exists():
        path = Path(folder)
        settings = Settings(axes, common_options(path, chosen, resume_command(path, shard)))
    else:
        settings = Settings(axes, with_effort(chosen, USUAL_EPOCHS).equal_images())
        path = Path(folder) if folder is not None else NewRun("study").take(lambda _: None)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / STUDY_FILE, to_json(settings))
    try:
        return _Study(path, settings, progress, chosen_tracker(tracker)).run(shard)
    except SeyoloError:
        if not any((path / name).exists() for name in (NETWORKS, RESULTS)):
            shutil.rmtree(path)  # refused before it had anything to keep
        raise


def resume_study(
    folder: str | Path,
    *,
    shard: str | Shard = WHOLE,
    progress: Progress | bool | None = True,
    tracker: TrackerName | OpenTracker | None = None,
    data_changed: bool = False,
) -> Outcome:
    """Goes on with a study: trains what is missing of a shard, and writes the tables of what is there.

    Args:
        folder: of the study.
        shard: as in `study`.
        progress: as in `study`.
        tracker: as in `study`.
        data_changed: goes on although images or labels have changed since the study began.

    Raises:
        TrainingError: the folder holds no study, another process works on this shard, or the data changed.

    Example:
        >>> seyolo.api.resume_study("runs/study/study").missing
        ()
    """
    path, progress = existing_run(folder, STUDY_FILE), shown_progress(progress)
    settings = read_json(path / STUDY_FILE, Settings)
    return _Study(path, settings, progress, chosen_tracker(tracker)).run(parse_shard(shard), data_changed)


def resume_command(folder: Path, shard: Shard = WHOLE) -> str:
    """Returns the command that goes on with a study."""
    return f"seyolo study --resume {folder}" + (f" --shard {shard}" if shard.count > 1 else "")


class _Study:
    """A study in its folder."""

    def __init__(self, folder: Path, settings: Settings, progress: Progress, tracker: OpenTracker) -> None:
        self.folder, self.settings, self.progress, self.tracker = folder, settings, progress, tracker
        self.budgets = (DENSE, *settings.study.budgets)
        self.plain: DarknetModel | None = None  # without gates, to time beside each network

    def run(self, shard: Shard, data_changed: bool = False) -> Outcome:
        """Works on a shard, which no other process may do meanwhile; Ctrl-C says how to go on."""
        try:
            with locked(self.folder, LOCK_FILE + shard.tag), limited_threads(self.settings.slim.threads):
                return self.work(shard, data_changed)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"resume with: {resume_command(self.folder, shard)}") from None

    def work(self, shard: Shard, data_changed: bool) -> Outcome:
        """Trains what is missing of a shard; returns the study so far."""
        mine = [cell for index, cell in enumerate(cells_of(self.settings.study)) if shard.has(index)]
        todo = [cell for cell in mine if any(self._missing(cell))]
        if todo:
            dataset = open_data(self.settings.slim, self.folder, self.progress)
            check_data(self.folder, dataset, dataset.splits, data_changed)
            shares = self._kept_shares(todo, dataset)
            tell(self.progress, training_lines(dataset))
            self.plain = SlimRun(self.settings.slim, self.folder, Silent(), dataset=dataset).starting_model()
            self._announce(todo, dataset, fmean(shares or [1.0]), resume_command(self.folder, shard))
            self._store()
            for number, cell in enumerate(todo, 1):
                part = " in this shard" if shard.count > 1 else ""
                self.progress.message(f"{cell.name} ({number} of {len(todo)}{part})")
                self._train(cell, dataset)
                self.report()
        self._store()
        return self.report()

    def _store(self) -> None:
        """Makes these gates, places, joins, budgets and seeds those of the folder, once they can be met."""
        write_json(self.folder / STUDY_FILE, to_json(self.settings))

    def _kept_shares(self, todo: Sequence[Cell], dataset: Dataset) -> list[float]:
        """Plans every cut and returns its shares of MACs kept; a BudgetError names the network."""
        shares = []
        variants = {(cell.gate, cell.place, cell.join): cell for cell in reversed(todo)}
        for cell in reversed(variants.values()):
            options = self._options(cell, DENSE)
            model = SlimRun(options, self.folder, Silent(), dataset=dataset).starting_model()
            for budget in self.settings.study.budgets:
                try:
                    plan = plan_of(model, self._options(cell, budget), None)
                except BudgetError as error:
                    said = str(error).replace(" --budget ", " --budgets ")
                    raise BudgetError(f"network {cell.name}: {said}") from error
                shares.append(plan.macs / plan.dense_macs)
        return shares

    def _announce(self, todo: Sequence[Cell], dataset: Dataset, kept: float, command: str) -> None:
        """Tells how many networks are missing, and about how long they take; gates cost little beside."""
        assert self.plain is not None
        options, missing = self.settings.slim, [budget for cell in todo for budget in self._missing(cell)]
        num_dense = missing.count(DENSE)
        networks = f"{counted(len(missing), 'network')}, {num_dense} of them dense"
        epochs = counted(options.stage_epochs()["dense"], "epoch")
        self.progress.message(f"training: {networks}, {epochs} each")
        dense = {"dense": stage_config(options, "dense")}
        tell(self.progress, shortage_lines(run_start(options, dataset, self.plain, dense)))
        parts_s = estimate_seconds(self.plain, dataset, options, kept, self.progress)
        slim_s = parts_s["sparse"] + parts_s["planning"] + parts_s["finetuned"]
        total_s = num_dense * parts_s["dense"] + (len(missing) - num_dense) * slim_s
        self.progress.message(f"time: about {duration_text(total_s)}; stop any time, {command} continues")

    def report(self) -> Outcome:
        """Writes tables and chart of the results that are there, and the page if there is one."""
        rows, missing = write_study(self.folder, self.settings.study)
        if rows and (self.folder / PAGE_FILE).exists():
            write_report([self.folder])
        found = tuple(rows), tuple(missing), len(self.settings.study.seeds)
        return Outcome(self.folder, *found, resume_command(self.folder))

    def _missing(self, cell: Cell) -> Iterator[str]:
        return (budget for budget in self.budgets if not cell.result(self.folder, budget).exists())

    def _options(self, cell: Cell, budget: str) -> SlimOptions:
        options = replace(self.settings.slim, seed=cell.seed)
        if budget != DENSE:
            options = replace(options, budget=tuple(budget.split(JOINED)))
        if cell.gate == NONE:
            return options
        gates: dict[str, Any] = {"attention": cell.gate, "at": (cell.place,), "join": cell.join}
        return replace(options, **gates)

    def _train(self, cell: Cell, dataset: Dataset) -> None:
        """Trains the dense network of a cell and slims it to every budget whose result is missing."""
        folder = self.folder / NETWORKS / cell.name
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):  # another shard or study command may have this network, too
            self._train_in(folder, cell, dataset)

    def _train_in(self, folder: Path, cell: Cell, dataset: Dataset) -> None:
        runs = {
            budget: SlimRun(
                self._options(cell, budget),
                folder / budget,
                self.progress,
                title=f"{cell.name} {budget} ",
                tracker=self.tracker,
                dataset=dataset,
                dense_folder=folder / DENSE,
            )
            for budget in self.budgets
        }
        dense = runs[DENSE].dense(runs[DENSE].starting_model())
        for budget in self._missing(cell):
            run = runs[budget]
            model = dense if budget == DENSE else self._slim(run, dense)
            write_json(cell.result(self.folder, budget), to_json(self._result(cell, budget, run, model)))

    def _slim(self, run: SlimRun, dense: DarknetModel) -> DarknetModel:
        sparse = run.sparse(run.branch(dense))
        return run.finetune(run.cut(sparse, run.plan(sparse)), dense)

    def _result(self, cell: Cell, budget: str, run: SlimRun, model: DarknetModel) -> NetworkResult:
        counted = cost(model.network, *run.size_hw)
        found = run.judge(model, title=f"evaluating {cell.name} {budget}")
        assert self.plain is not None
        models = {"plain": self.plain, "own": model}
        timings = timings_of({name: Contender(one, run.size_hw) for name, one in models.items()})
        return NetworkResult(
            gate=cell.gate,
            place=cell.place,
            join=cell.join,
            budget=budget,
            seed=cell.seed,
            epochs=run.epochs_seen()[DENSE if budget == DENSE else "finetuned"],
            params=counted.params,
            macs=counted.macs,
            input_size=run.size_hw,
            metrics=split_metrics(found, run.dataset.names),
            latency_ms=round(timings["own"].p50_ms, 3),
            plain_ms=round(timings["own" if (cell.gate, budget) == (NONE, DENSE) else "plain"].p50_ms, 3),
            noise=round(max(timing.noise for timing in timings.values()), 4),
        )
