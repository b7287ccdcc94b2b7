"""Export to ncnn: `x.ncnn.param`, `x.ncnn.bin` and `x.ncnn.json`, converted from our ONNX graph by pnnx."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from seyolo.errors import BackendError, ExportError, shortened
from seyolo.exporting.onnx import describe_onnx, require_equal_raw, with_rounded_kernels
from seyolo.exporting.parity import sample_image
from seyolo.exporting.quantize import Image
from seyolo.files import replacing, write_json
from seyolo.options.export import FileOptions
from seyolo.runtime.metadata import file_metadata
from seyolo.runtime.ncnn_backend import NcnnBackend, about_path
from seyolo.torchnet.build import DarknetModel

SECONDS = 600
# pnnx takes ONNX's SpaceToDepth for pixel_unshuffle, whose channels come in another order.
_REORG = re.compile(r"^(Reorg .* 1=)0", re.MULTILINE)


def export_ncnn(
    model: DarknetModel, path: Path, options: FileOptions, images: Sequence[Image] = ()
) -> tuple[Path, ...]:
    """Writes the three files, once ncnn gives the model's output; `half` stores kernels in 16 bits.

    Raises:
        ExportError: pnnx or ncnn has no form for a layer, or ncnn gives another output; nothing is written.
    """
    net = model.network.net
    size = net.height, net.width
    reference = with_rounded_kernels(model) if options.half else model
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        onnx.save(describe_onnx(reference, size), str(Path(folder) / "x.onnx"))
        made = _converted(Path(folder), (net.channels, *size), options.half, path)
        write_json(
            about_path(made),
            {**file_metadata(model.network, model.names, size), "channels": str(net.channels)},
        )
        try:
            backend = NcnnBackend(made)
        except BackendError as error:
            raise ExportError(f"{path}: {error}; nothing was written") from None
        sample = sample_image(*size, np.random.default_rng(0), channels=net.channels)
        require_equal_raw(backend.infer(sample), reference, sample, "ncnn")
        return _moved(made, path)


def _converted(folder: Path, shape: tuple[int, int, int], half: bool, path: Path) -> Path:
    """Converts `x.onnx` in a folder; returns the .param."""
    dimensions = ",".join(map(str, (1, *shape)))
    command = [str(_pnnx()), "x.onnx", f"inputshape=[{dimensions}]", f"fp16={int(half)}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    param = folder / "x.ncnn.param"
    if not param.is_file():
        said = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
        raise ExportError(
            f"{path}: pnnx cannot convert this network ({shortened(said)}); nothing was written"
        )
    param.write_text(_REORG.sub(r"\g<1>1", param.read_text(encoding="utf-8")), encoding="utf-8")
    return param


def _pnnx() -> Path:
    """Returns pnnx's program; importing its package would need PyTorch."""
    spec = find_spec("pnnx")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("no module pnnx", name="pnnx")
    return Path(spec.submodule_search_locations[0]) / ("pnnx.exe" if sys.platform == "win32" else "pnnx")


def _moved(made: Path, path: Path) -> tuple[Path, ...]:
    files = {
        made: path,
        made.with_suffix(".bin"): path.with_suffix(".bin"),
        about_path(made): about_path(path),
    }
    with ExitStack() as stack:
        places = {file: stack.enter_context(replacing(target)) for file, target in files.items()}
        for file, place in places.items():
            file.rename(place)
    return tuple(files.values())
