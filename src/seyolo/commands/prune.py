"""`seyolo prune`: cut a trained network to a budget, or by a plan."""

from __future__ import annotations

from json import loads as parse
from pathlib import Path

from rich.console import Group

import seyolo
from seyolo.commands.output import Json, check_new, check_target, remark, show, table
from seyolo.opening.description import darknet_files
from seyolo.options.parameters import Flag
from seyolo.options.prune import PruneOptions, check_slim_ending
from seyolo.progress import console_progress
from seyolo.report.tables.fitting import FittingTable
from seyolo.report.text import latency_text
from seyolo.runtime.shipped import check_network
from seyolo.sizes import input_text

DEFAULTS = PruneOptions()
MAX_NAMED_LAYERS = 6


def prune(
    model: str, out: Path, *, options: PruneOptions = DEFAULTS, overwrite: Flag = False, json: Json = None
) -> None:
    """Prune a trained network to a budget; the plan is written beside OUT as OUT.plan.json and OUT.plan.png.

    Args:
        model: a checkpoint, or a .cfg or zoo name with --weights; best one trained with --sparsity.
        out: the slim model, .safetensors or .cfg (with .weights).
        overwrite: replace a model and a plan that are there already.
        json: write the plan here as JSON, too; - is stdout.
    """
    check_target(json)
    check_slim_ending(out)
    check_network(model, options.weights)
    progress = console_progress()
    plan_path = seyolo.api.plan_path(out)
    files = darknet_files(out) if out.suffix == ".cfg" else (out,)
    if not options.dry_run and out.resolve() != Path(model).resolve():  # `prune_file` refuses that
        check_new(files, overwrite=overwrite)
    if options.plan is None:
        check_new([plan_path], overwrite=overwrite, advice=f"cut by it with --plan {plan_path}, ")
    if options.dry_run:
        made = seyolo.api.plan_file(model, plan_path, options, progress=progress)
        groups = table([_group(cut["layers"], len(cut["kept"]), len(cut["removed"])) for cut in made.groups])
        show(parse(made.to_json()), Group(groups, _summary(made)), json)
        remark(f"wrote {plan_path} and its image and cut nothing; --plan {plan_path} cuts by it")
    else:
        made = seyolo.api.prune_file(model, out, options, progress=progress)
        show(parse(made.to_json()), _summary(made), json)
        remark(f"wrote {', '.join(str(file) for file in files if file.is_file())}, {plan_path} and its image")
        if options.data is None:
            remark(
                "the pruned network finds little or nothing yet: prune with --data, which repairs it with "
                "forty images or more, labelled or not, or fine-tune it (seyolo train)"
            )


def _group(layers: list[int], kept: int, removed: int) -> dict[str, object]:
    """Returns the row of a group: convolutions, channels before and after."""
    named = ", ".join(map(str, layers[:MAX_NAMED_LAYERS]))
    more = len(layers) - MAX_NAMED_LAYERS
    return {
        "layers": f"{named} and {more} more" if more > 0 else named,
        "channels": kept + removed,
        "kept": kept,
        "removed": f"{removed / (kept + removed):.0%}" if kept else "with its block",
    }


def _summary(plan: seyolo.Plan) -> FittingTable:
    """Makes the table of costs before and after; latency as predicted and as measured."""
    rows = [
        _row("parameters", plan.dense_params, plan.params, plan.params / plan.dense_params),
        _row(f"MACs @{input_text(plan.input_size)}", plan.dense_macs, plan.macs, plan.macs / plan.dense_macs),
        _row("residual blocks removed", "", len(plan.blocks_removed)),
    ]
    if (can_prune := plan.prunable_channels()) is not None:
        channels = sum(can_prune.values())
        kept = channels - sum(before - after for _, before, after in plan.table())
        rows.insert(0, _row("channels that may be pruned", channels, kept, kept / channels))
    rows += [_row(f"{name} predicted", "", latency_text(ms)) for name, ms in plan.latency_ms.items()]
    for name, ms in plan.measured_ms.items():
        dense = plan.dense_ms[name]
        rows.append(_row(f"{name} measured", latency_text(dense), latency_text(ms), ms / dense))
    return table(rows)


def _row(name: str, dense: object, slim: object, share: float | None = None) -> dict[str, object]:
    return {"": name, "dense": dense, "slim": slim, "share": "" if share is None else f"{share:.1%}"}
