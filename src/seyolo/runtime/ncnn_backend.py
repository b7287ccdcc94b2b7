"""ncnn backend: `x.ncnn.param` with `x.ncnn.bin`. Computes in float32."""

from __future__ import annotations

import ncnn
import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.runtime.beside import AGAIN, BesideBackend

_HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


class NcnnBackend(BesideBackend):
    """See `BesideBackend`; one input (3, H, W), one output (P, 5 + C)."""

    name = title = "ncnn"

    def open(self, threads: int) -> None:
        """Loads both files; ncnn tells what it cannot read by a return code, and why on stderr."""
        self._net = ncnn.Net()
        for option in _HALVES:
            setattr(self._net.opt, option, False)
        self._net.opt.num_threads = threads
        path = str(self.path)
        if self._net.load_param(path) or self._net.load_model(str(self.path.with_suffix(".bin"))):
            raise BackendError(f"{path}: ncnn cannot read this file; {AGAIN}")
        ends = self._net.input_names(), self._net.output_names()
        if [len(names) for names in ends] != [1, 1]:
            raise BackendError(f"{path}: expected one input and one output, found {ends}")
        self._input, self._output = ends[0][0], ends[1][0]

    def run(self, image: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "p columns"]:
        """Runs the network on one image."""
        extractor = self._net.create_extractor()
        extractor.input(self._input, ncnn.Mat(image))
        code, raw = extractor.extract(self._output)
        if code:
            raise BackendError(f"{self.path}: ncnn stopped with code {code}")
        return np.array(raw)
