"""MNN backend: `x.mnn`. Computes in float32."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.runtime.beside import AGAIN, BesideBackend
from seyolo.runtime.silence import silent
from seyolo.translation import IMAGES, RAW

SMALL_WINOGRAD = (3, 0)  # hint and value; larger tiles of Winograd's convolution lose two of seven digits


with silent(1):  # it prints what the processor can
    import MNN.expr
    import MNN.nn


class MnnBackend(BesideBackend):
    """See `BesideBackend`; input `images` (1, 3, H, W), output `raw` (1, P, 5 + C)."""

    name, title = "mnn", "MNN"

    def open(self, threads: int) -> None:
        """Loads the file."""
        config = {"precision": "high", "backend": "CPU", "numThread": threads}
        with silent(1):
            manager = MNN.nn.create_runtime_manager((config,))
            manager.set_hint(*SMALL_WINOGRAD)
            try:
                self._module = MNN.nn.load_module_from_file(
                    str(self.path), [IMAGES], [RAW], runtime_manager=manager
                )
            except RuntimeError:
                raise BackendError(f"{self.path}: MNN cannot read this file; {AGAIN}") from None

    def run(self, image: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "p columns"]:
        """Runs the network on one image."""
        batch = MNN.expr.const(image, [1, *image.shape], MNN.expr.NCHW)
        outputs = self._module.forward([batch])
        if len(outputs) != 1:
            raise BackendError(f"{self.path}: MNN gives {len(outputs)} outputs, expected one")
        raw: Float32[np.ndarray, "p columns"] = np.array(outputs[0].read())[0]
        return raw
