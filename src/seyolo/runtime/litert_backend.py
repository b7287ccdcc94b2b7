"""LiteRT backend: `x.tflite`, on XNNPACK. Computes in float32, layers in int8 in int8."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.runtime.beside import AGAIN, BesideBackend
from seyolo.runtime.silence import silent


class LiteRtBackend(BesideBackend):
    """See `BesideBackend`; one input (1, H, W, 3), one output (1, P, 5 + C)."""

    name, title = "litert", "LiteRT"

    def open(self, threads: int) -> None:
        """Loads the file; LiteRT says on stderr that it uses XNNPACK."""
        try:
            with silent(2):
                self._interpreter = Interpreter(str(self.path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BackendError(f"{self.path}: LiteRT cannot read this file ({reason}); {AGAIN}") from None
        (taken,), (given,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = taken["index"], given["index"]

    def run(self, image: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "p columns"]:
        """Runs the network on one image."""
        batch = np.ascontiguousarray(image.transpose(1, 2, 0)[None])
        try:
            self._interpreter.set_tensor(self._input, batch)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"{self.path}: LiteRT stopped: {str(error).splitlines()[0]}") from None
        raw: Float32[np.ndarray, "p columns"] = self._interpreter.get_tensor(self._output)[0]
        return raw
