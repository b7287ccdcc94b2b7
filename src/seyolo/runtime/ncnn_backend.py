"""ncnn backend: `x.ncnn.param` with `x.ncnn.bin`, and the metadata of `metadata.py` as `x.ncnn.json`.

Computes in float32. ncnn tells a file that it cannot read by a return code, and why on stderr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import ncnn
import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError, shortened
from seyolo.json_files import parse_json
from seyolo.runtime.metadata import read_channels, read_mode, read_names, read_pad_value, read_size
from seyolo.runtime.protocol import class_names, require_batch

MAGIC = "7767517"  # first line of a .param
_HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


class NcnnBackend:
    """A detector with box decoding inside: one input (3, H, W), one output (P, 5 + C).

    Settings as in `protocol.Session`.

    Raises:
        BackendError: ncnn refuses the files, they are no such detector, or the device is missing.
    """

    name = "ncnn"

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        device: str = "cpu",
        names: Sequence[str] | None = None,
    ) -> None:
        if device != "cpu":
            raise BackendError(f"ncnn files run on cpu here, not on {device!r}")
        self._path = Path(path)
        metadata = _metadata(self._path)
        self._net = ncnn.Net()
        for option in _HALVES:
            setattr(self._net.opt, option, False)
        if threads is not None:
            self._net.opt.num_threads = threads
        self._load()
        self._input, self._output = self._only("input"), self._only("output")
        self.input_size = read_size(metadata, [], self._path)
        self.input_channels = read_channels(_number(metadata, "channels"), self._path)
        self.letterbox_mode = read_mode(metadata, self._path)
        self.pad_value = read_pad_value(metadata, self._path)
        self.names = class_names(names or read_names(metadata), self._count_classes(), self._path)

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network once per image."""
        require_batch(batch, (self.input_channels, *self.input_size), self._path)
        return np.stack([self._run(image) for image in np.ascontiguousarray(batch)])

    def _run(self, image: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "p columns"]:
        extractor = self._net.create_extractor()
        extractor.input(self._input, ncnn.Mat(image))
        code, raw = extractor.extract(self._output)
        if code:
            raise BackendError(f"{self._path}: ncnn stopped with code {code}")
        return np.array(raw)

    def _load(self) -> None:
        weights = self._path.with_suffix(".bin")
        with self._path.open("rb") as file:
            if file.readline(16).strip() != MAGIC.encode():
                raise BackendError(f"{self._path}: not an ncnn .param file")
        if not weights.is_file():
            raise BackendError(
                f"{weights}: there is no such file, which holds the weights of {self._path.name}"
            )
        if self._net.load_param(str(self._path)) or self._net.load_model(str(weights)):
            raise BackendError(f"{self._path}: ncnn cannot read this file and its .bin; export it again")

    def _only(self, role: str) -> str:
        names = self._net.input_names() if role == "input" else self._net.output_names()
        if len(names) != 1:
            raise BackendError(f"{self._path}: expected one {role}, found {', '.join(names) or 'none'}")
        return str(names[0])

    def _count_classes(self) -> int:
        raw = self._run(np.zeros((self.input_channels, *self.input_size), np.float32))
        if raw.ndim != 2 or raw.shape[1] < 6:
            raise BackendError(f"{self._path}: the output is {raw.shape}, expected (boxes, 5 + classes)")
        return int(raw.shape[1] - 5)


def about_path(path: Path) -> Path:
    """Returns the file with the metadata of a `.param`."""
    return path.with_suffix(".json")


def _metadata(path: Path) -> Mapping[str, str]:
    about = about_path(path)
    try:
        values = parse_json(about.read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing = "there is no such file, which tells the size of the input"
        raise BackendError(f"{about}: {missing}; write it with seyolo export") from None
    except (OSError, ValueError) as error:
        raise BackendError(
            f"{about}: not valid JSON ({shortened(str(error))}); write it with seyolo export"
        ) from None
    texts = values.items() if isinstance(values, dict) else ()
    return {key: value for key, value in texts if isinstance(value, str)}


def _number(metadata: Mapping[str, str], key: str) -> int | None:
    text = metadata.get(key, "")
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else None
