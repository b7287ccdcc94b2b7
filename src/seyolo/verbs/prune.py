"""`prune_file` and `plan_file`: a MODEL in, a slim one or its plan out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from seyolo.data.datasets import Dataset, load_images
from seyolo.errors import PlanError, UsageError, counted
from seyolo.files import write_text
from seyolo.letterbox import Fit
from seyolo.opening.network import input_size, open_model, resized, save
from seyolo.options.budget import LATENCY_BACKENDS
from seyolo.options.cut import CutOptions
from seyolo.options.cut import Importance as ImportanceName
from seyolo.options.keywords import PruneKeywords
from seyolo.options.parameters import build
from seyolo.options.prune import PruneOptions, check_slim_ending
from seyolo.options.tile import check_tiled_data
from seyolo.progress import Progress, Silent, TimedStages, tell
from seyolo.pruning.importance.importance import Importance
from seyolo.pruning.importance.obs import MEASURING, RANKING
from seyolo.pruning.planning.plan import FoundAgain, Plan, recounted_plan
from seyolo.pruning.planning.planner import Planner
from seyolo.report.figures.channels import channel_rows, plot_channels, prunable_part
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import torch_device
from seyolo.verbs.calibration import (
    CalibrationSet,
    boxes_found_again,
    classes_not_shown,
    few_images,
    planner_on,
    repair_on,
)
from seyolo.verbs.readiness import scales_of_cut

STAGES_S = {MEASURING: 1.0, RANKING: 0.25}  # of a plan, relative; what the repair takes, only the plan tells


def read_plan(path: str | Path) -> Plan:
    """Reads a plan from its file.

    Raises:
        PlanError: no such file, or not a plan.

    Example:
        >>> seyolo.api.read_plan("slim.plan.json").budget
        'macs=50%'
    """
    path = Path(path)
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read as a plan ({error})") from None
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None


def plan_file(
    model: str | Path,
    path: str | Path,
    options: PruneOptions | CutOptions | None = None,
    *,
    importance: ImportanceName | Importance | None = None,
    plan: Plan | None = None,
    dataset: Dataset | None = None,
    progress: Progress | None = None,
    **keywords: Unpack[PruneKeywords],
) -> Plan:
    """Writes and draws the plan of a cut, and prunes nothing; latency is measured for a budget of it.

    Args:
        model, options, importance, plan, dataset, progress, keywords: as in `prune_file`.
        path: `x.plan.json`; `x.plan.png` shows the channels of every convolution before and after.

    Example:
        >>> plan = seyolo.api.plan_file("hand.safetensors", "half.plan.json", budget="macs=50%")
        >>> plan.macs <= 0.5 * plan.dense_macs
        True
    """
    given: dict[str, Any] = {**keywords, "importance": importance}
    job = _Job("plan_file", model, options=options, keywords=given, plan=plan, dataset=dataset)
    planner = job.planner(job.timed(progress, repairs=False))
    if job.plan is None:
        made = planner.plan(job.options.budgets)
    else:
        made = recounted_plan(planner.network, job.plan)
        made = planner.timed(made, [name for name in LATENCY_BACKENDS if name in job.plan.latency_ms])
    _write_plan(Path(path), made, job.dense)
    tell(progress, scales_of_cut(job.dense, made))
    return made


def prune_file(
    model: str | Path,
    out: str | Path,
    options: PruneOptions | CutOptions | None = None,
    *,
    importance: ImportanceName | Importance | None = None,
    plan: Plan | None = None,
    dataset: Dataset | None = None,
    progress: Progress | None = None,
    **keywords: Unpack[PruneKeywords],
) -> Plan:
    """Prunes a MODEL with weights, repairs it with images if there are any, and writes it.

    Its plan is written beside it, see `plan_path`, and drawn as in `plan_file`.

    Args:
        model: a checkpoint, a `.cfg` or a zoo name with weights.
        out: a `.safetensors` or `.cfg` file; one that is there already is replaced.
        options: all options at once, or those of the cut; `keywords` take the place of their values.
        importance: name of a built-in importance, or an object as in `seyolo.prune`; by default `obs` with
            images, else `bn`.
        plan: prunes by this plan, made or edited before; it is written with the numbers that it gives.
        dataset: its `train` split gives the images, for importance that is measured and for the repair; it
            may also be named by the option `data`.
        progress: receives how far planning and repair are, with the time left.
        keywords: the fields of `seyolo.options.prune.PruneOptions` and those of the cut, `PlanOptions`, where
            each is explained.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.

    Example:
        >>> plan = seyolo.api.prune_file(
        ...     "hand.safetensors", "half.cfg", budget="macs=50%", importance="norm", keep=2
        ... )
        >>> plan.importance, plan.macs <= 0.5 * plan.dense_macs
        ('norm', True)
    """
    out = Path(out)
    check_slim_ending(out)
    if out.resolve() == Path(model).resolve():
        raise UsageError(f"{out}: is the model to be pruned; write the slim one to another file")
    given: dict[str, Any] = {**keywords, "importance": importance}
    job = _Job("prune_file", model, options=options, keywords=given, plan=plan, dataset=dataset)
    if job.options.dry_run:
        raise UsageError("prune_file: plan_file makes a plan and cuts nothing; leave out dry_run")
    progress = job.timed(progress, repairs=True)
    planner = job.planner(progress)
    budgets = job.options.budgets
    made = planner.plan(budgets) if job.plan is None else recounted_plan(planner.network, job.plan)
    tell(progress, scales_of_cut(job.dense, made))
    slim_model = planner.prune(made)
    if job.dataset is not None:
        slim_model = slim_model.to(torch_device(job.options.device))
        images = CalibrationSet(job.dataset, Fit.of(slim_model.network.net), job.options.seed)
        repair_on(slim_model, job.dense, made, images, job.options.repair, progress=progress)
        made = made.changed(found_again=boxes_found_again(job.dense, slim_model, images))
    save(slim_model, out)
    _write_plan(plan_path(out), made, job.dense)
    if made.found_again is not None and job.dataset is not None:
        tell(progress, [_found_line(made.found_again, model, out, job.dataset)])
    return made


class _Job:
    """A dense model, and how it is pruned: by a plan, or by options for one."""

    def __init__(
        self,
        caller: str,
        model: str | Path,
        *,
        options: PruneOptions | CutOptions | None,
        keywords: Mapping[str, Any],
        plan: Plan | None,
        dataset: Dataset | None,
    ) -> None:
        given = dict(keywords)
        importance = given.pop("importance")
        if isinstance(importance, str):
            given["importance"] = importance
        self.importance: Importance | None = None if isinstance(importance, str) else importance
        if isinstance(options, CutOptions):
            given, options = given | {"cut": options}, None
        self.options = build(PruneOptions, caller, options, given)
        self.plan, self.dataset = plan, dataset
        if plan is not None and (importance is not None or self.options.decides_cut):
            raise UsageError(f"{caller}: a plan says already what is pruned; leave out what decides it")
        if plan is None and self.options.plan is not None:
            self.plan = read_plan(self.options.plan)
        if (self.plan is None) == (not self.options.budget):
            raise UsageError("give either a budget (--budget macs=30%) or a plan made before (--plan)")
        if dataset is None and self.options.data is not None:
            self.dataset = load_images(self.options.data)
        opened = open_model(model, self.options, device=self.options.device)
        self.dense = resized(opened, self.options.size)
        check_tiled_data(self.options, self.dataset is not None)
        if self.dataset is not None and self.options.tile:
            self.dataset = self.dataset.tiled(self.options.tiling(input_size(self.dense, None)))

    def timed(self, progress: Progress | None, *, repairs: bool) -> Progress:
        """Tells of the data set; returns progress with the time left of planning, and of repair by itself."""
        if self.dataset is None:
            return progress or Silent()
        if self.plan is None:
            tell(progress, self.dataset.introduction(["train"]))
        tell(progress, few_images(self.dataset))
        tell(progress, classes_not_shown(self.dataset, self.dense.names))
        is_measured = self.plan is None and self.importance is None and self.options.measures_obs
        until = " before the repair" if repairs and self.options.repair != "none" else ""
        return TimedStages(progress or Silent(), STAGES_S if is_measured else {}, until)

    def planner(self, progress: Progress | None) -> Planner:
        """Returns the planner of the dense model; importance is measured only where no plan is given."""
        if self.plan is not None:
            return Planner(self.dense, progress=progress)
        options = self.options
        if self.importance is not None:
            cut = options.plan_options()
            return Planner(self.dense, cut, importance=self.importance, progress=progress)
        return planner_on(self.dense, options.plan_options(), self.dataset, options.seed, progress)


def _found_line(found: FoundAgain, model: str | Path, out: Path, dataset: Dataset) -> str:
    """Says which boxes the pruned network still finds, and how to measure its AP."""
    where = f"on {counted(found['images'], 'image')}"
    if not found["boxes"]:
        return f"warning: {where} the network before finds nothing: train it longer, or give images it knows"
    weights = f" --weights {out.with_suffix('.weights')}" if out.suffix == ".cfg" else ""
    data, first = str(dataset.source), "its AP: "
    if not any(len(sample.class_ids) for sample in dataset.split("train")):
        label = "for its AP label images that the repair has not seen"
        data, first = "auto", f"{label}: seyolo data label {model} IMAGES auto, then: "
    share = f"{found['found']:,} of {counted(found['boxes'], 'box')} of the network before"
    return f"{where} it finds {share}; {first}seyolo val {out}{weights} --data {data}"


def plan_path(out: str | Path) -> Path:
    """Returns the path of a slim model's plan: `slim.plan.json` beside `slim.safetensors`.

    Example:
        >>> seyolo.api.plan_path("slim.safetensors").name
        'slim.plan.json'
    """
    return Path(out).with_suffix(".plan.json")


def _write_plan(path: Path, plan: Plan, dense: DarknetModel) -> None:
    """Writes the plan as JSON, and beside it an image of the channels before and after."""
    write_text(path, plan.to_json())
    rows = channel_rows(dense.network, plan.widths)
    plot_channels(*rows, path.with_suffix(".png"), prunable_part(dense.network, plan))
