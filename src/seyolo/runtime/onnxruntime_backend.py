"""ONNX Runtime backend; `metadata.py` describes the metadata of the files."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from jaxtyping import Float32
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from seyolo.errors import BackendError
from seyolo.runtime.layouts import check_task, find_layout, other_form
from seyolo.runtime.metadata import read_any_names, read_channels, read_mode, read_pad_value, read_size
from seyolo.runtime.protocol import USUAL_SESSION, Session, class_names, require_batch

if TYPE_CHECKING:  # imports onnx, which exported files do not need
    from seyolo.runtime.in_memory import Translated

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
ONLY_ERRORS = 3  # log level of ONNX Runtime
SPIN_US = 100  # how long a thread waits busily for the next operator
# ONNX Runtime's exceptions share no base class but Exception.
REFUSALS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    UnicodeDecodeError,  # names and metadata that are not text
)


class OnnxRuntimeBackend:
    """An ONNX detector: one input (N, 3, H, W), one output as `layouts` lists; settings as in `Session`.

    `translated` is the graph of a cfg or a checkpoint, which runs instead of the file.
    """

    name = "onnxruntime"

    def __init__(
        self, path: str | Path, session: Session = USUAL_SESSION, translated: Translated | None = None
    ) -> None:
        self._path, names = Path(path), session.names
        self._session = open_session(self._path, session, translated)
        metadata = self._session.get_modelmeta().custom_metadata_map
        check_task(metadata, self._path)
        self._input = self._only(self._session.get_inputs(), "input", 4)
        self._output = self._only(self._session.get_outputs(), "output", 3)
        if self._input.type not in INPUT_TYPES:
            raise BackendError(f"{self._path}: the input is {self._input.type}, expected 32 or 16 bit floats")
        self.input_size = read_size(metadata, self._input.shape[2:], self._path)
        self.input_channels = read_channels(self._input.shape[1], self._path)
        self.letterbox_mode = read_mode(metadata, self._path)
        self.pad_value = read_pad_value(metadata, self._path)
        own_names = read_any_names(metadata)
        self.layout = find_layout(
            self._output.shape, metadata, own_names or names, self._run_on_black, self._path
        )
        self.names = class_names(names or own_names, self.layout.num_classes, self._path)

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network; a graph of fixed batch 1 runs once per image."""
        require_batch(batch, (self.input_channels, *self.input_size), self._path)
        if len(batch) > 1 and self._input.shape[0] == 1:
            parts = [self._run(batch[i : i + 1]) for i in range(len(batch))]
            return self.layout.to_raw(np.concatenate(parts))
        return self.layout.to_raw(self._run(batch))

    def _run(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n a b"]:
        typed = np.ascontiguousarray(batch, dtype=INPUT_TYPES[self._input.type])
        try:
            (raw,) = self._session.run([self._output.name], {self._input.name: typed})
        except REFUSALS as error:
            raise BackendError(f"{self._path}: ONNX Runtime stopped: {error}") from None
        return np.asarray(raw, dtype=np.float32)

    def _only(self, values: Sequence[Any], role: str, rank: int) -> Any:
        if len(values) != 1 or len(values[0].shape) != rank:
            shapes = ", ".join(f"{value.name} {value.shape}" for value in values)
            raise BackendError(f"{self._path}: {other_form(role, shapes)}")
        return values[0]

    def _run_on_black(self) -> Float32[np.ndarray, "n a b"]:
        return self._run(np.zeros((1, self.input_channels, *self.input_size), np.float32))


def runs_on(device: str) -> bool:
    """Tells whether this ONNX Runtime has the device."""
    return PROVIDERS.get(device.partition(":")[0]) in onnxruntime.get_available_providers()


def open_session(path: Path, asked: Session = USUAL_SESSION, translated: Translated | None = None) -> Any:
    """Opens any ONNX file on ONNX Runtime, or the graph that a file of another format was translated to."""
    if not runs_on(asked.device):
        advice = "use cpu, or install onnxruntime-gpu for cuda"
        raise BackendError(f"this ONNX Runtime cannot run on {asked.device!r}; {advice}")
    options = session_options(asked.threads)
    model = _graph_of(path) if translated is None else translated.graph
    if translated is not None:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in translated.tensors.values()]
        options.add_external_initializers(list(translated.tensors), values)
    providers = [PROVIDERS[asked.device.partition(":")[0]]]
    forms = [model] if translated is not None or model == str(path) else [model, str(path)]
    for number, form in enumerate(forms, start=1):
        try:
            session = onnxruntime.InferenceSession(form, options, providers=providers, enable_fallback=0)
            dict(session.get_modelmeta().custom_metadata_map)  # raises for metadata that is not text
        except REFUSALS as error:
            if number == len(forms):
                raise BackendError(f"{path}: ONNX Runtime cannot read this file: {error}") from None
        else:
            return session
    raise AssertionError("the last form is opened or refused")


def _graph_of(path: Path) -> str | bytes:
    """Returns the path of a file, or its graph where that is rewritten to run faster."""
    if not _may_hold_mish(path):
        return str(path)
    from seyolo.runtime.onnx_mish import faster_graph  # noqa: PLC0415 (imports onnx)

    return faster_graph(path) or str(path)


def _may_hold_mish(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(operator) >= 0 for operator in (b"Softplus", b"Mish"))


def session_options(threads: int | None = None) -> Any:
    """Returns the options of every session in this project."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ONLY_ERRORS
    # Otherwise the threads of an idle session spin for milliseconds and slow the next work.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # By default they also spin within a run for a millisecond: on a machine with other work two threads were
    # slower than one, since a spinning thread keeps the core that the other one needs.
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    if int8_overflows():
        # Exact and slower, so it is set only on CPUs that overflow.
        options.add_session_config_entry("session.x64quantprecision", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def int8_overflows(cpu: Path = Path("/proc/cpuinfo")) -> bool:
    """Tells whether this CPU adds products of bytes in 16 bits, as x86 without VNNI does (Linux only)."""
    text = cpu.read_text(encoding="utf-8") if cpu.is_file() else ""
    return "avx2" in text and "vnni" not in text
