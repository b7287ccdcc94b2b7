"""Export to Darknet: `.cfg` and `.weights`, for OpenCV 4 and Darknet itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.weights import read_weights
from seyolo.errors import ExportError
from seyolo.files import replacing
from seyolo.opening.network import write_darknet
from seyolo.torchnet.build import DarknetModel, to_checkpoint


def export_darknet(model: DarknetModel, path: str | Path) -> tuple[Path, Path]:
    """Writes `x.cfg` and `x.weights`, once reading them back gives the same network.

    Returns:
        The paths of the cfg and of the weights.

    Raises:
        ExportError: the network has a `[cbam]`, which Darknet does not know, or reading back gave another
            network.
    """
    cfg = Path(path)
    model_file = to_checkpoint(model)
    cfg.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cfg.parent, prefix=f".{cfg.stem}.") as folder:
        new_cfg = Path(folder) / cfg.name
        new_weights = write_darknet(new_cfg, model_file)
        network = read_cfg(new_cfg)
        state = read_weights(new_weights, network)
        if network != model_file.network or any(
            not np.array_equal(state[name], array) for name, array in model_file.state.items()
        ):
            raise ExportError(f"{cfg}: the files read back as another network; nothing was written")
        weights = cfg.with_suffix(".weights")
        with replacing(cfg) as cfg_place, replacing(weights) as weights_place:
            new_cfg.rename(cfg_place)
            new_weights.rename(weights_place)
    return cfg, weights
