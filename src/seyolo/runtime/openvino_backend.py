"""OpenVINO's files (`.xml` with `.bin`) and ONNX files on its CPU device.

Our exporter writes what `metadata.py` describes into the model's runtime information, under `seyolo`;
OpenVINO itself puts the metadata of an ONNX file there, under `framework`.
On CPUs with bfloat16 OpenVINO would compute in it unasked; here float32 stays float32 unless one asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.runtime.backend import Precision, class_names
from seyolo.runtime.metadata import read_mode, read_names, read_size

SECTION = "seyolo"
"""Where our metadata stands in the runtime information."""
ONNX_SECTION = "framework"


@cache
def core() -> openvino.Core:
    """The one OpenVINO of this process, never given back.

    Each sets a stack for signal handlers, and takes the one before it back when it goes. After two that went
    in the order they came, that stack is gone, and Ctrl-C would take the process down.
    """
    return openvino.Core()


class OpenVinoBackend:
    """A detector with the box decoding inside: one image input, one output (N, P, 5 + C).

    Args:
        path: an `.xml` file, whose `.bin` lies beside it, or an `.onnx` file.
        threads: by default one per core.
        device: only `cpu`.
        names: the classes, instead of those in the file.
        precision: of what the file has in float32. `bf16` is faster where the CPU has it and rounds to eight
            bits; int8 layers stay int8.

    Raises:
        BackendError: OpenVINO refuses the file, it is no such detector, or the device or the precision is not
            there.
    """

    name = "openvino"

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        device: str = "cpu",
        names: Sequence[str] | None = None,
        precision: Precision = "f32",
    ) -> None:
        if device != "cpu":
            raise BackendError(f"OpenVINO files run on cpu here, not on {device!r}")
        self._path = Path(path)
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            model = core().read_model(self._path)
            compiled = core().compile_model(model, "CPU", config)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise BackendError(f"{path}: OpenVINO cannot read this file: {reason}") from None
        self._require(precision, compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        self._request = compiled.create_infer_request()
        shape, columns = self._shapes(model)
        metadata = _metadata(model)
        self._takes_one = shape[0] == 1
        self.input_size = read_size(metadata, shape[2:], self._path)
        self.letterbox_mode = read_mode(metadata, self._path)
        self.names = class_names(names or read_names(metadata), columns - 5, self._path)

    def infer(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network, a file of fixed batch 1 once per image.

        Raises:
            BackendError: the batch does not have the shape the graph takes.
        """
        expected = (3, *self.input_size)
        if batch.shape[1:] != expected:
            raise BackendError(f"{self._path}: expected images of shape {expected}, got {batch.shape[1:]}")
        parts = np.split(batch, len(batch)) if self._takes_one else [batch]
        return np.concatenate([self._run(part) for part in parts])

    def _run(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        try:
            raw: Float32[np.ndarray, "n p columns"] = self._request.infer([np.ascontiguousarray(batch)])[0]
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise BackendError(f"{self._path}: OpenVINO stopped: {reason}") from None
        return raw

    def _require(self, precision: Precision, actual: str) -> None:
        # Without a word OpenVINO takes the next best.
        if actual != precision:
            raise BackendError(
                f"{self._path}: OpenVINO has no {precision} on this CPU and would take {actual}; ask for that"
            )

    def _shapes(self, model: Any) -> tuple[list[int | None], int]:
        """The input (N, 3, H, W), None where it is open, and the columns of the output."""
        inputs, outputs = ([value.partial_shape for value in side] for side in (model.inputs, model.outputs))
        fits = [len(shape) for shape in (*inputs, *outputs)] == [4, 3] and outputs[0][2].is_static
        if not fits or outputs[0][2].get_length() < 6:
            raise BackendError(
                f"{self._path}: expected one input (N, 3, H, W) and one output (N, boxes, 5 + classes), "
                f"found {', '.join(map(str, (*inputs, *outputs)))}"
            )
        sides = [side.get_length() if side.is_static else None for side in inputs[0]]
        return sides, int(outputs[0][2].get_length())


def _metadata(model: Any) -> dict[str, str]:
    keys = ("names", "input_size", "letterbox")
    return {
        key: model.get_rt_info([section, key]).astype(str)
        for section in (ONNX_SECTION, SECTION)
        for key in keys
        if model.has_rt_info([section, key])
    }
