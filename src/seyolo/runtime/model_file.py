"""Reading of the files that hold a description and weights: a cfg with its weights, or a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.class_names import names_beside
from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.graph import num_classes
from seyolo.darknet.weights import read_weights
from seyolo.runtime.protocol import Session, class_names


def read_model_file(path: Path, session: Session) -> Checkpoint:
    """Returns the model of a `.safetensors` checkpoint, or of a `.cfg` with the weights of `session`.

    Raises:
        ModelError, CfgError, WeightsError: the file is missing or damaged.
        BackendError: the names of `session` are not as many as the classes.
    """
    if session.weights is not None:
        network = read_cfg(path)
        count = num_classes(network)
        names = class_names(session.names or names_beside(path, count), count, path)
        return Checkpoint(network, read_weights(session.weights, network), names)
    checkpoint = read_checkpoint(path)
    if session.names is None:
        return checkpoint
    return replace(checkpoint, names=class_names(session.names, len(checkpoint.names), path))
