"""Export to Darknet: `.cfg`, `.weights` and `.names`, for OpenCV 4 and Darknet itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.weights import read_weights
from seyolo.errors import ExportError
from seyolo.opening.description import darknet_files
from seyolo.opening.network import written_darknet
from seyolo.torchnet.build import DarknetModel, to_checkpoint


def export_darknet(model: DarknetModel, path: str | Path) -> tuple[Path, ...]:
    """Writes Darknet's files, once reading them back gives the same network; returns their paths."""
    cfg, model_file = Path(path), to_checkpoint(model)
    with written_darknet(cfg, model_file) as (new_cfg, new_weights):
        network = parse_cfg(new_cfg.read_text(encoding="utf-8"), str(new_cfg))
        state = read_weights(new_weights, network)
        if network != model_file.network or any(
            not np.array_equal(state[name], array) for name, array in model_file.state.items()
        ):
            raise ExportError(f"{cfg}: the files read back as another network; nothing was written")
    return tuple(path for path in darknet_files(cfg) if path.is_file())
