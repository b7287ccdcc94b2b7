"""`prune_file` and `plan_file`: a MODEL in, a slim one or its plan out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.errors import PlanError, UsageError
from seyolo.files import write_text
from seyolo.opening.description import CHECKPOINT
from seyolo.opening.model import input_size, open_model, resized
from seyolo.opening.network import save
from seyolo.options.cut import DEFAULT_CUT, CutOptions
from seyolo.options.model import ModelOptions
from seyolo.progress import Progress
from seyolo.pruning.planning.budget import parse_budgets
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.planning.planner import Planner
from seyolo.report.figures.channels import channel_rows, plot_channels
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import torch_device
from seyolo.verbs.calibration import CalibrationSet, planner_on, repair_on
from seyolo.verbs.slim_config import Repair

FORECAST_BACKENDS = ("onnxruntime",)
"""Where a plan that is not cut yet is predicted and measured, besides the backend of its budget."""


def read_plan(path: Path) -> Plan:
    """A plan from its file.

    Raises:
        PlanError: no such file, or not a plan.
    """
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read as a plan ({error})") from None
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None


def plan_file(
    model: str | Path,
    path: Path,
    *,
    budget: str | Sequence[str] = (),
    plan: Plan | None = None,
    options: CutOptions = DEFAULT_CUT,
    dataset: Dataset | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    start: ModelOptions = ModelOptions(),  # noqa: B008 (frozen)
) -> Plan:
    """Writes and draws the plan of a cut, and cuts nothing.

    Latency on ONNX Runtime is predicted and measured, besides that on the backend of a budget.

    Args:
        path: `x.plan.json`; `x.plan.png` shows the channels of every convolution before and after.
        model, start, budget, plan, options: as in `prune_file`.
        dataset, size, seed, device, progress: as there.
    """
    _require_one(budget, plan)
    dense = resized(open_model(model, start, device=device), size)
    if plan is not None:
        planner = Planner(dense, progress=progress)
        plan = planner.timed(planner.recounted(plan), FORECAST_BACKENDS)
    else:
        planner = planner_on(dense, options, dataset, seed, progress)
        plan = planner.plan(parse_budgets(budget), FORECAST_BACKENDS)
    _write_plan(path, plan, dense)
    return plan


def prune_file(
    model: str | Path,
    out: Path,
    *,
    budget: str | Sequence[str] = (),
    plan: Plan | None = None,
    options: CutOptions = DEFAULT_CUT,
    repair: Repair = "reconstruct",
    dataset: Dataset | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    start: ModelOptions = ModelOptions(),  # noqa: B008 (frozen)
) -> Plan:
    """Cuts a MODEL with weights, makes up for the cut with images if there are any, and writes it.

    Its plan is written beside it, see `plan_path`, and drawn as in `plan_file`.

    Args:
        model, start: as in `open_model`.
        out: a `.safetensors` or `.cfg` file.
        budget: as in `seyolo.prune`; none where a plan is given.
        plan: cut by this one, made or edited before; it is written with the numbers that it gives.
        options: how to decide what goes.
        repair: what makes up for the cut when there are images, see `verbs.calibration.repair_on`.
        dataset: its `train` split gives the images, for importance that is measured and for the repair.
        size: side of the square input in pixels; by default the model's.
        seed: of `random` importance and of the choice of images.
        device: where images are run.
        progress: told how far the measurement of a latency is.
    """
    if out.suffix not in (CHECKPOINT, ".cfg"):
        raise UsageError(f"{out}: a slim model is written as {CHECKPOINT} or .cfg")
    if out.resolve() == Path(model).resolve():
        raise UsageError(f"{out}: is the model to be cut; write the slim one to another file")
    _require_one(budget, plan)
    dense = resized(open_model(model, start, device=device), size)
    if plan is not None:
        planner = Planner(dense)
        plan = planner.recounted(plan)
    else:
        planner = planner_on(dense, options, dataset, seed, progress)
        plan = planner.plan(parse_budgets(budget))
    slim_model = planner.prune(plan)
    if dataset is not None:
        slim_model = slim_model.to(torch_device(device))
        images = CalibrationSet(dataset, input_size(slim_model, None), seed)
        repair_on(slim_model, dense, plan, images, repair)
    save(slim_model, out)
    _write_plan(plan_path(out), plan, dense)
    return plan


def plan_path(out: Path) -> Path:
    """Where the plan of a slim model lies: `slim.plan.json` beside `slim.safetensors`."""
    return out.with_suffix(".plan.json")


def _require_one(budget: str | Sequence[str], plan: Plan | None) -> None:
    if (plan is None) == (not budget):
        raise UsageError("give either a budget (--budget macs=30%) or a plan made before (--plan)")


def _write_plan(path: Path, plan: Plan, dense: DarknetModel) -> None:
    """The plan as JSON, and beside it an image of the channels before and after."""
    write_text(path, plan.to_json())
    plot_channels(*channel_rows(dense.network, plan.widths), path.with_suffix(".png"))
