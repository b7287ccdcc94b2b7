"""OpenVINO backend: `.xml` with `.bin`, ONNX files, and models translated to ONNX in memory, on the CPU.

Our exporter writes the metadata of `metadata.py` into the model's runtime information under `seyolo`;
OpenVINO puts the metadata of an ONNX file there under `framework`. By default OpenVINO computes in bfloat16
on CPUs that have it; the backend computes in float32 unless told otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.runtime.layouts import check_task, find_layout, other_form
from seyolo.runtime.metadata import (
    RUNTIME_KEYS,
    read_any_names,
    read_channels,
    read_mode,
    read_pad_value,
    read_size,
)
from seyolo.runtime.protocol import USUAL_SESSION, Session, class_names, require_batch

if TYPE_CHECKING:
    from seyolo.runtime.in_memory import Translated

SECTION = "seyolo"  # key of our metadata in the runtime information
ONNX_SECTION = "framework"


@cache
def core() -> openvino.Core:
    """Returns the only OpenVINO Core of this process, which is never destroyed.

    A Core sets an alternate stack for signal handlers and restores the previous one when it is destroyed:
    after two Cores, destroyed in the order of creation, no valid stack is left, and Ctrl-C crashes.
    """
    return openvino.Core()


class OpenVinoBackend:
    """A detector with box decoding inside: one input (N, 3, H, W), one output as `layouts` lists.

    Settings as in `protocol.Session`; `translated` is the graph of a cfg or a checkpoint with all tensors
    inside, which runs instead of the file; `bf16` is faster where the CPU has it and rounds to eight bits.

    Raises:
        BackendError: OpenVINO refuses the file, the file is no such detector, or the device or the precision
            is missing.
    """

    name = "openvino"

    def __init__(
        self, path: str | Path, session: Session = USUAL_SESSION, translated: Translated | None = None
    ) -> None:
        if session.device != "cpu":
            raise BackendError(f"OpenVINO files run on cpu here, not on {session.device!r}")
        self._path, names = Path(path), session.names
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        config["INFERENCE_PRECISION_HINT"] = session.precision
        if session.threads is not None:
            config["INFERENCE_NUM_THREADS"] = session.threads * session.parallel
        if session.parallel > 1:
            config["NUM_STREAMS"] = session.parallel
        model, self._compiled = self._read(translated, config)
        self._of_thread = threading.local()
        metadata = _metadata(model)
        check_task(metadata, self._path)
        shape, output_shape = self._shapes(model)
        self._takes_one = shape[0] == 1
        self.input_size = read_size(metadata, shape[2:], self._path)
        self.input_channels = read_channels(shape[1], self._path)
        self.letterbox_mode = read_mode(metadata, self._path)
        self.pad_value = read_pad_value(metadata, self._path)
        own_names = read_any_names(metadata)
        self.layout = find_layout(output_shape, metadata, own_names or names, self._run_on_black, self._path)
        self.names = class_names(names or own_names, self.layout.num_classes, self._path)

    def _read(self, translated: Translated | None, config: Mapping[str, Any]) -> tuple[Any, Any]:
        """Reads the file; returns the model and its compiled form."""
        try:
            model = core().read_model(self._path if translated is None else translated.graph)
            compiled = core().compile_model(model, "CPU", dict(config))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise BackendError(f"{self._path}: OpenVINO cannot read this file: {reason}") from None
        # OpenVINO silently takes another precision where the CPU lacks this one.
        wanted = config["INFERENCE_PRECISION_HINT"]
        actual = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if actual != wanted:
            reason = f"OpenVINO has no {wanted} on this CPU and would take {actual}; ask for that"
            raise BackendError(f"{self._path}: {reason}")
        return model, compiled

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network; a file of fixed batch 1 runs once per image."""
        require_batch(batch, (self.input_channels, *self.input_size), self._path)
        parts = np.split(batch, len(batch)) if self._takes_one else [batch]
        return self.layout.to_raw(np.concatenate([self._run(part) for part in parts]))

    def _run(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n a b"]:
        try:
            raw: Float32[np.ndarray, "n a b"] = self._request().infer([np.ascontiguousarray(batch)])[0]
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise BackendError(f"{self._path}: OpenVINO stopped: {reason}") from None
        return raw

    def _request(self) -> Any:
        """Returns the request of this thread: each holds one image."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        return self._of_thread.request

    def _run_on_black(self) -> Float32[np.ndarray, "n a b"]:
        return self._run(np.zeros((1, self.input_channels, *self.input_size), np.float32))

    def _shapes(self, model: Any) -> tuple[list[int | None], list[int | None]]:
        """Returns the shapes of the input (N, 3, H, W) and of the output, None for open sides."""
        shapes = [[value.partial_shape for value in side] for side in (model.inputs, model.outputs)]
        for role, rank, found in zip(("input", "output"), (4, 3), shapes, strict=True):
            if [len(shape) for shape in found] != [rank]:
                raise BackendError(f"{self._path}: {other_form(role, ', '.join(map(str, found)))}")
        image, output = ([side.get_length() if side.is_static else None for side in f[0]] for f in shapes)
        return image, output


def _metadata(model: Any) -> dict[str, str]:
    return {
        key: model.get_rt_info([section, key]).astype(str)
        for section in (ONNX_SECTION, SECTION)
        for key in RUNTIME_KEYS
        if model.has_rt_info([section, key])
    }
