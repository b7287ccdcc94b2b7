"""The typed sections of a Darknet cfg, as AlexeyAB's Darknet defines them; each declares its own wiring.

`SECTIONS` lists the sections that are layers. The torch layer, ONNX nodes and channel rule of each are in the
tables `torchnet.layers.LAYERS`, `translation.WRITERS` and `pruning.groups.rules.RULES`; a test
demands that every table has every section.
"""

from __future__ import annotations

from seyolo.darknet.sections.attention import Cbam, CoordAtt, Eca, Join, OwnGate, Sam, ScaleChannels, SimAm
from seyolo.darknet.sections.base import Activation, Reference, Section
from seyolo.darknet.sections.convolution import Convolutional, Dropout, Implicit
from seyolo.darknet.sections.detection import Detection, Region, Yolo
from seyolo.darknet.sections.joining import Overlap, Route, Shortcut, WeightsNormalization, overlap
from seyolo.darknet.sections.net import Net
from seyolo.darknet.sections.pooling import AvgPool, LocalAvgPool, MaxPool
from seyolo.darknet.sections.resampling import Reorg, Reorg3d, Upsample

SECTIONS: tuple[type[Section], ...] = (
    Convolutional,
    MaxPool,
    LocalAvgPool,
    AvgPool,
    Upsample,
    Dropout,
    Reorg,
    Reorg3d,
    Implicit,
    Route,
    Shortcut,
    ScaleChannels,
    Sam,
    Cbam,
    Eca,
    CoordAtt,
    SimAm,
    Yolo,
    Region,
)

__all__ = [
    "SECTIONS",
    "Activation",
    "AvgPool",
    "Cbam",
    "Convolutional",
    "CoordAtt",
    "Detection",
    "Dropout",
    "Eca",
    "Implicit",
    "Join",
    "LocalAvgPool",
    "MaxPool",
    "Net",
    "Overlap",
    "OwnGate",
    "Reference",
    "Region",
    "Reorg",
    "Reorg3d",
    "Route",
    "Sam",
    "ScaleChannels",
    "Section",
    "Shortcut",
    "SimAm",
    "Upsample",
    "WeightsNormalization",
    "Yolo",
    "overlap",
]
