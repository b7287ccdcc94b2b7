"""`seyolo export`: a model for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

import seyolo
from seyolo.commands.output import Json, check_new, check_target, remark, show, table
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import is_zoo_name, network_from_name
from seyolo.errors import ExportError, UsageError
from seyolo.files import write_text
from seyolo.opening.description import darknet_files, with_options
from seyolo.options.export import ExportOptions, export_ending
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.options.parameters import Flag
from seyolo.progress import console_progress
from seyolo.report.text import MISSING, MOST_LOST_AP, about_as_fast, noise_text, three_digits
from seyolo.runtime.beside import beside_path
from seyolo.runtime.shipped import check_network
from seyolo.sizes import InputSize, size_hw

if TYPE_CHECKING:
    from seyolo.verbs.export import Exported
    from seyolo.verbs.export_rows import ExportedRow

DEFAULTS = ExportOptions()
TITLE = "error against the model, latency of the network in one thread"
NMS_REMARK = (
    "suppression inside: ONNX Runtime and OpenCV 5's default engine run this file; OpenCV's classic engine, "
    "the only one of OpenCV 4, gives wrong rows for it"
)
DYNAMIC_REMARK = "; in OpenCV 5.0 read the net anew for each image, or export without --dynamic-batch"


def export(
    model: str,
    out: list[Path],
    *,
    options: ExportOptions = DEFAULTS,
    start: ModelOptions = NO_OPTIONS,
    overwrite: Flag = False,
    json: Json = None,
) -> None:
    """Write a model for ONNX Runtime, OpenVINO, LiteRT, MNN, ncnn or Darknet, as the ending of OUT says.

    OUT ends in .onnx, .xml, .tflite, .mnn, .ncnn.param, .cfg or .safetensors. The file is compared with the
    model before it gets its final name; a table gives error, size and latency. Of several files each is
    written in int8 or with 16-bit kernels where its format has that. A zoo name without weights gives the
    .cfg alone, or another file with random weights.

    Args:
        model: a checkpoint, a .cfg with its weights, or a zoo name.
        out: the file, or several.
        overwrite: replace files that are there already.
        json: write the table here; - is stdout.
    """
    check_target(json)
    for path in out:
        export_ending(path)
    check_network(model, start.weights)
    untrained = is_zoo_name(model) and start.weights is None
    is_cfg = [path.suffix for path in out] == [".cfg"]
    is_description = untrained and is_cfg and not (options.nms or options.half or options.int8)
    check_new(out if is_description else chain.from_iterable(map(_files, out)), overwrite=overwrite)
    if is_description:
        if options.device != "cpu":
            reason = "a description without weights is written and nothing runs"
            raise UsageError(f"--device {options.device}: {reason}")
        file = _write_description(model, out[0], options.size, start)
        show({"files": [str(file)], "random_weights": False}, f"wrote {file}", json)
        return
    exported = seyolo.api.export_file(model, out, options, start, progress=console_progress())
    if options.nms:
        remark(NMS_REMARK + DYNAMIC_REMARK * options.dynamic_batch)
    is_random = untrained and not is_cfg
    show(_value(exported, is_random), Group(*_readable(exported, is_random)), json)
    if exported.refused:
        raise ExportError("\n".join(exported.refused))


def _files(out: Path) -> list[Path]:
    """Returns the files that an export writes."""
    if out.suffix == ".cfg":
        return list(darknet_files(out))
    data = [out.with_suffix(".bin")] if out.suffix in (".xml", ".param") else []
    beside = [beside_path(out)] if out.suffix in (".param", ".mnn", ".tflite") else []
    return [out, *data, *beside]


def _value(exported: Exported, is_random: bool) -> dict[str, object]:
    value = {
        "files": [str(path) for path in exported.files],
        "random_weights": is_random,
        "rows": [{**asdict(row), "file": str(row.file)} for row in exported.rows],
        "refused": list(exported.refused),
    }
    if exported.metrics:
        value["metrics"] = {precision: measured.to_dict() for precision, measured in exported.metrics.items()}
    return value


def _readable(exported: Exported, is_random: bool) -> Iterator[RenderableType]:
    if exported.rows:
        yield table([_cells(row) for row in exported.rows], TITLE)
    yield from _int8_remarks(exported)
    if exported.metrics:
        yield table([{"on val": name, "AP": m.ap, "AP@0.5": m.ap50} for name, m in exported.metrics.items()])
    *others, last = [*map(str, exported.files)] or ["nothing"]
    text = f"wrote {', '.join(others)} and {last}" if others else f"wrote {last}"
    yield text + (" (random weights)" if is_random else "")
    timed = [row for row in exported.rows if row.p50_ms is not None]
    if len(timed) > 1:
        yield fastest_line(timed)


def fastest_line(timed: Sequence[ExportedRow]) -> str:
    """Returns the line that runs the fastest file, or names the files that are as fast within the noise."""
    latencies, noises = [row.p50_ms or 0 for row in timed], [row.noise or 0 for row in timed]
    fast = [timed[place] for place in about_as_fast(latencies, noises)]
    if len(fast) == 1:
        return f"the fastest here: seyolo detect {fast[0].file} IMAGE_OR_FOLDER"
    noise = noise_text(max(row.noise or 0 for row in fast))
    names = " ".join(str(row.file) for row in fast)
    return f"about as fast here, noise {noise}: measure longer with seyolo benchmark {names}"


def _int8_remarks(exported: Exported) -> Iterator[str]:
    """Yields that a file in int8 is no smaller than float32, and that AP fell by more than `MOST_LOST_AP`."""
    for row in exported.rows:
        if row.float_bytes is not None and row.size_bytes >= row.float_bytes:
            megabytes = (
                f"{row.size_bytes / 1e6:.2f} MB, the weights in float32 {row.float_bytes / 1e6:.2f} MB"
            )
            yield f"{row.file}: no smaller in int8 ({megabytes}); seyolo benchmark tells whether it is faster"
    if exported.metrics:
        lost = exported.metrics["float32"].ap - exported.metrics["int8"].ap
        if lost > MOST_LOST_AP:
            yield f"int8 loses {100 * lost:.1f} points of AP on val"


def _cells(row: ExportedRow) -> dict[str, object]:
    """Returns the row as it is printed: file, how equal it is to the model, size and latency."""
    return {
        "file": str(row.file),
        "precision": row.precision,
        "against the model": _error(row),
        "MB": f"{row.size_bytes / 1e6:.2f}",
        "ms": MISSING if row.p50_ms is None else three_digits(row.p50_ms),
        "on": row.runtime or MISSING,
    }


def _error(row: ExportedRow) -> str:
    """Returns the largest error of boxes and scores; in int8 the share of equal boxes."""
    if row.agreement is not None:
        return f"{row.agreement:.1%} equal boxes"
    return MISSING if row.error_px is None else f"{row.error_px:.0e} px, {row.error_score:.0e}"


def _write_description(model: str, out: Path, size: InputSize | None, start: ModelOptions) -> Path:
    network = with_options(network_from_name(model, start.num_classes), start)
    write_text(out, (network if size is None else set_size(network, *size_hw(size))).to_cfg())
    return out
