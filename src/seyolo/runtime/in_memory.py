"""Models as ONNX in memory: a cfg or a checkpoint runs as its exported file would.

ONNX Runtime takes the weights beside the graph: no copy is made of them, and 2 GB are no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto, helper

from seyolo.checkpoint import State
from seyolo.runtime.metadata import file_metadata
from seyolo.runtime.model_file import read_model_file
from seyolo.runtime.onnx_mish import rewrite_mish
from seyolo.runtime.protocol import Session
from seyolo.translation import to_onnx
from seyolo.translation.folding import fold_batch_norm


@dataclass(frozen=True)
class Translated:
    """A graph, and the tensors that it names and does not hold."""

    graph: bytes
    tensors: State


def translate_file(path: Path, session: Session, *, inline: bool = False) -> Translated:
    """Reads and translates a `.cfg` or `.safetensors` file; with `inline` the graph holds all tensors."""
    checkpoint = read_model_file(path, session)
    network, folded = checkpoint.network, fold_batch_norm(checkpoint)
    size = network.net.height, network.net.width
    proto = to_onnx(folded, size, inline=inline)
    if not inline:  # for ONNX Runtime; OpenVINO knows the usual form
        rewrite_mish(proto.graph)
    helper.set_model_props(proto, file_metadata(network, checkpoint.names, size))
    outside = [t.name for t in proto.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    return Translated(proto.SerializeToString(), {name: folded.state[name] for name in outside})
