"""`seyolo prune`: cut a trained network to a budget, or by a plan."""

from __future__ import annotations

from json import loads as parse
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

import seyolo
from seyolo.commands.options import MODEL_DEFAULTS, Json, ModelOptions, Repeatable
from seyolo.commands.output import check_target, remark, show, table
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError
from seyolo.files import write_text


def prune(
    model: str,
    out: Path,
    /,
    *,
    budget: Annotated[tuple[str, ...], Repeatable] = (),
    plan: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    scope: Literal["all", "plain"] = "all",
    multiple: int | None = None,
    least_share: float = 0.0,
    keep_blocks: Annotated[bool, Parameter(negative=())] = False,
    importance: Literal["bn", "norm", "group", "taylor", "uniform", "random"] = "bn",
    repair: Literal["reconstruct", "recalibrate", "none"] = "reconstruct",
    data: Path | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    start: ModelOptions = MODEL_DEFAULTS,
    json: Json = None,
) -> None:
    """Cut a trained network to a budget; the plan is written beside OUT as OUT.plan.json.

    Args:
        model: a checkpoint, or a .cfg or zoo name with --weights; best one trained with --sparsity.
        out: the slim model, .safetensors or .cfg (with .weights).
        budget: macs=30%, macs=1.2G, params=2.4M, latency=8ms@onnxruntime (or opencv, torch), channels=85%
            (removed); may be given several times, then all hold.
        plan: cut by this plan instead; edit kept, removed and blocks_removed in it as you like.
        dry_run: write the plan and nothing else; it shows parameters, MACs and the latency to expect.
        scope: all, or plain for convolutions that no shortcut touches, as the published cut does.
        multiple: kept channels are multiples of this [default: 8, and 16 in groups of 128 and more].
        least_share: every group of channels keeps at least this share, from 0 to 1.
        keep_blocks: cut channels only; otherwise residual blocks may go as a whole.
        importance: which channels stay: those with large batch-normalisation scales (bn), kernels (norm),
            both over all that is tied (group), effect on the loss (taylor, needs --data); uniform and random
            are controls.
        repair: with --data, fit the kept kernels to what the dense network puts out (reconstruct), only
            measure batch normalisation anew (recalibrate), or leave the network as it is cut (none).
        data: a data set; its train split gives the pictures for the repair.
        size: side of the square input in pixels at which MACs count; by default the model's.
        seed: of random importance and the choice of pictures.
        device: cpu, cuda or cuda:N.
        json: write the plan here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = None if data is None else load_dataset(data)
    options = seyolo.api.CutOptions(scope, multiple, least_share, not keep_blocks, importance, repair, seed)
    given = None if plan is None else seyolo.api.read_plan(plan)
    plan_path = out.with_suffix(".plan.json")
    model_options = start.as_keywords()
    if dry_run:
        if given is not None:
            raise UsageError("--dry-run makes a plan; with --plan there is one already")
        made = seyolo.api.plan_file(
            model,
            budget,
            options,
            dataset=dataset,
            size=size,
            device=device,
            backends=("onnxruntime",),
            **model_options,
        )
    else:
        made = seyolo.api.prune_file(
            model,
            out,
            budget=budget,
            plan=given,
            options=options,
            dataset=dataset,
            size=size,
            device=device,
            **model_options,
        )
    write_text(plan_path, made.to_json())
    show(parse(made.to_json()), _summary(made), json)
    if dry_run:
        remark(f"wrote {plan_path} and cut nothing; --plan {plan_path} cuts by it")
        return
    files = [out, out.with_suffix(".weights")] if out.suffix == ".cfg" else [out]
    remark(f"wrote {', '.join(map(str, files))} and {plan_path}")
    if dataset is None:
        remark("nothing makes up for the cut yet: give --data to repair it, or fine-tune (seyolo train)")


def _summary(plan: seyolo.Plan) -> Table:
    """Before and after, and per backend the predicted latency of the slim network."""
    blocks = len(plan.blocks_removed)
    slim = {backend: f"{ms:.1f} ms" for backend, ms in plan.latency_ms.items()}
    return table(
        [
            {"": "dense", "params": plan.dense_params, "MACs": plan.dense_macs, "blocks removed": 0}
            | dict.fromkeys(slim, ""),
            {"": "slim", "params": plan.params, "MACs": plan.macs, "blocks removed": blocks} | slim,
        ]
    )
