"""Export to formats that a converter writes from our ONNX graph; metadata in a JSON beside the file."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from seyolo.errors import BackendError, ExportError, shortened
from seyolo.exporting.onnx import describe_onnx, require_equal_raw, shown_runs, with_rounded_kernels
from seyolo.exporting.parity import FUSING_FORM, Written, require_agreement, sample_image
from seyolo.exporting.quantize import Image, find, fit_images, on_onnxruntime, quantize
from seyolo.files import replacing
from seyolo.letterbox import Fit
from seyolo.options.export import FileOptions
from seyolo.progress import Progress
from seyolo.runtime.beside import BesideBackend, files_of, write_beside
from seyolo.runtime.metadata import file_metadata
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel

CONVERTER_SECONDS = 600
SLICE_INPUTS = 4  # without a step; with one it is what a runtime lacks
Convert = Callable[[onnx.ModelProto, Path, FileOptions], None]


def export_converted(
    model: DarknetModel,
    path: Path,
    options: FileOptions,
    convert: Convert,
    backend: type[BesideBackend],
    *,
    images: Sequence[Image] = (),
    least_half: float = 0.0,
    progress: Progress | None = None,
) -> Written:
    """Writes the files, once the runtime gives the model's output; `half` stores kernels in 16 bits.

    Args:
        images: calibration set of int8; `progress` shows the runs on them.
        convert: writes the graph as the file of a path.
        backend: runs the file.
        least_half: smallest magnitude of a kernel that the format keeps in 16 bits.

    Raises:
        ExportError: the format has no form for a layer, or another output; nothing is written.
    """
    net = model.network.net
    size = net.height, net.width
    reference = with_rounded_kernels(model, least_half) if options.half else model
    graph, facts = describe_onnx(reference, size), None
    if options.int8:
        with shown_runs(fit_images(images, Fit.of(net, size)), progress) as shown:
            graph, facts = quantize(graph, model.network, size, shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        made = Path(folder) / path.name
        try:
            convert(graph, made, options)
            about = write_beside(made, file_metadata(model.network, model.names, size, facts), net.channels)
            opened = backend(made)
            sample = sample_image(*size, np.random.default_rng(0), channels=net.channels)
            raw = opened.infer(sample)
        except (ExportError, BackendError) as error:
            reason = str(error).removeprefix(f"{made}: ")
            raise ExportError(f"{path}: {reason}; nothing was written") from None
        agreement = None
        if options.int8:
            agreement = require_equal_boxes(opened, model, images, backend.title)
        else:
            require_equal_raw(raw, reference, sample, backend.title)
        return Written(_moved([*files_of(made), about], path.parent), agreement)


def check_converted(model: DarknetModel, path: Path, options: FileOptions, convert: Convert) -> None:
    """Refuses (ExportError) a network that cannot be converted."""
    graph = describe_onnx(model, (model.network.net.height, model.network.net.width))
    with tempfile.TemporaryDirectory() as folder:
        convert(graph, Path(folder) / path.name, replace(options, int8=False))


def require_equal_boxes(
    backend: Backend, model: DarknetModel, images: Sequence[Image], title: str, other_form: str = FUSING_FORM
) -> float:
    """Returns the share of equal boxes of a file in int8 and the model on the calibration set."""
    fitted = fit_images(images, Fit.of(backend))
    float_graph = on_onnxruntime(describe_onnx(model, backend.input_size))
    return require_agreement(find(float_graph, fitted), find(backend.infer, fitted), title, other_form)


def run_converter(command: Sequence[str], folder: Path) -> str:
    """Runs a converter in a folder; returns what it printed.

    Raises:
        ExportError: it takes longer than ten minutes.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=CONVERTER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"{Path(command[0]).name} takes longer than {CONVERTER_SECONDS} s") from None
    return f"code {done.returncode}\n{done.stdout}\n{done.stderr}"


def last_line(printed: str) -> str:
    """Returns the end of what a converter printed."""
    return shortened(next((line for line in reversed(printed.split("\n")) if line.strip()), ""))


def layers_with(graph: onnx.ModelProto, operator: str) -> str:
    """Names the layers of a network that have an operator, as `Selu (layers 3 and 7)`."""
    nodes = [node for node in graph.graph.node if node.op_type.lower() == operator.lower()]
    nodes = [node for node in nodes if len(node.input) > SLICE_INPUTS] or nodes  # every runtime slices
    layers = list(dict.fromkeys(node.name.split("_")[0].removeprefix("layer") for node in nodes))
    if not layers:
        return operator
    *others, last = layers
    return f"{operator} (layer{'s' * bool(others)} {', '.join(others)}{' and ' * bool(others)}{last})"


def _moved(files: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    targets = [folder / file.name for file in files]
    with ExitStack() as stack:
        places = [stack.enter_context(replacing(target)) for target in targets]
        for file, place in zip(files, places, strict=True):
            file.rename(place)
    return tuple(targets)
