"""`seyolo export`: a model for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group

import seyolo
from seyolo.commands.output import Json, check_target, remark, show, table
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import is_zoo_name, network_from_name
from seyolo.errors import UsageError
from seyolo.files import write_text
from seyolo.opening.description import with_options
from seyolo.options.export import ExportOptions
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.progress import console_progress
from seyolo.runtime.shipped import refuse_shipped
from seyolo.sizes import InputSize, size_hw

if TYPE_CHECKING:
    from seyolo.evaluation.ap import Metrics

DEFAULTS = ExportOptions()
NMS_REMARK = (
    "suppression inside: ONNX Runtime and OpenCV 5's default engine run this file; OpenCV's classic engine, "
    "the only one of OpenCV 4, gives wrong rows for it"
)


def export(
    model: str,
    out: Path,
    *,
    options: ExportOptions = DEFAULTS,
    start: ModelOptions = NO_OPTIONS,
    json: Json = None,
) -> None:
    """Write a model as .onnx, .xml with .bin, .cfg with .weights, or .safetensors; the ending of OUT chooses.

    The file is compared with the model before it gets its final name. A zoo name without weights gives the
    .cfg alone, or an .onnx with random weights.

    Args:
        model: a checkpoint, a .cfg with its weights, or a zoo name.
        out: the file.
        json: write the list of files here; - is stdout.
    """
    check_target(json)
    refuse_shipped(model)
    untrained = is_zoo_name(model) and start.weights is None
    metrics: Mapping[str, Metrics] = {}
    if untrained and out.suffix == ".cfg" and not (options.nms or options.half or options.int8):
        if options.device != "cpu":
            reason = "a description without weights is written and nothing runs"
            raise UsageError(f"--device {options.device}: {reason}")
        written: tuple[Path, ...] = (_write_description(model, out, options.size, start),)
    else:
        exported = seyolo.api.export_file(model, out, options, start, progress=console_progress())
        written, metrics = exported.files, exported.metrics
    is_random = untrained and out.suffix != ".cfg"
    value = {"files": [str(path) for path in written], "random_weights": is_random}
    if metrics:
        value["metrics"] = {precision: measured.to_dict() for precision, measured in metrics.items()}
    if options.nms:
        remark(NMS_REMARK)
    *others, last = map(str, written)
    text = f"wrote {', '.join(others)} and {last}" if others else f"wrote {last}"
    text += " (random weights)" if is_random else ""
    rows = [{"on val": precision, "AP": m.ap, "AP@0.5": m.ap50} for precision, m in metrics.items()]
    show(value, Group(table(rows), text) if metrics else text, json)


def _write_description(model: str, out: Path, size: InputSize | None, start: ModelOptions) -> Path:
    network = with_options(network_from_name(model, start.num_classes), start)
    write_text(out, (network if size is None else set_size(network, *size_hw(size))).to_cfg())
    return out
