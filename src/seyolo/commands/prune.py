"""`seyolo prune`: cut a trained network to a budget."""

from __future__ import annotations

from json import loads as parse
from pathlib import Path
from typing import Annotated, Literal

import seyolo
from seyolo.commands.options import MODEL_DEFAULTS, Json, ModelOptions, Repeatable
from seyolo.commands.output import check_target, remark, show, table
from seyolo.data.datasets import load_dataset
from seyolo.files import write_text


def prune(
    model: str,
    out: Path,
    /,
    *,
    budget: Annotated[tuple[str, ...], Repeatable],
    scope: Literal["all", "plain"] = "all",
    multiple: int | None = None,
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
        budget: macs=30%, macs=1.2G, params=2.4M, channels=85% (removed); may be given several times, then all
            hold.
        scope: all, or plain for convolutions that no shortcut touches, as the published cut does.
        multiple: kept channels are multiples of this [default: 8, and 16 in groups of 128 and more].
        data: a data set; its train split recalibrates the batch normalisation after the cut.
        size: side of the square input in pixels at which MACs count; by default the model's.
        seed: of the choice of pictures for recalibration.
        device: cpu, cuda or cuda:N.
        json: write the plan here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = None if data is None else load_dataset(data)
    plan = seyolo.api.prune_file(
        model,
        out,
        budget=budget,
        scope=scope,
        multiple=multiple,
        dataset=dataset,
        size=size,
        seed=seed,
        device=device,
        **start.as_keywords(),
    )
    plan_path = out.with_suffix(".plan.json")
    write_text(plan_path, plan.to_json())
    rows = [
        {"": "dense", "params": plan.dense_params, "MACs": plan.dense_macs},
        {"": "slim", "params": plan.params, "MACs": plan.macs},
    ]
    show(parse(plan.to_json()), table(rows), json)
    files = [out, out.with_suffix(".weights")] if out.suffix == ".cfg" else [out]
    remark(f"wrote {', '.join(map(str, files))} and {plan_path}")
    if dataset is None:
        remark("batch normalisation is as it was: give --data to recalibrate it, or fine-tune (seyolo train)")
