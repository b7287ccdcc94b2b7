"""Form in which OpenCV 4's Darknet reader understands a network, and what that reader has no form for.

The reader skips keys it does not know and has other defaults than Darknet, so a cfg that it reads can be
another network there. It gets the text of `opencv_form`: every key that it reads is written out, and a
network that it would read as another one is refused. The list follows the source of the reader,
`modules/dnn/src/darknet/darknet_io.cpp`; `tests/runtime/test_one_answer.py` compares networks of one section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from seyolo.darknet import sections
from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import detection_layers, shapes
from seyolo.darknet.sections import Detection, Section
from seyolo.darknet.sections.base import Size
from seyolo.errors import BackendError

ACTIVATIONS = frozenset(["linear", "leaky", "relu", "swish", "mish", "logistic", "tanh"])
KEYS_READ = frozenset(["thresh", "classfix"])
"""Keys of Darknet's training that change what the reader's networks give."""


def opencv_form(network: Network) -> Network:
    """Returns a network that OpenCV's reader reads as this one, with a threshold of 0.

    Raises:
        BackendError: the reader has no form for a layer; names layer, file and line, and what to do.
    """
    layers, sizes = [], [shape.size for shape in shapes(network)]
    for index, section in enumerate(network.layers):
        for reason in _refusals(section, [sizes[source] for source in section.inputs(index) if source >= 0]):
            raise refused(network, index, reason)
        printed = FORMS[type(section)](section) if type(section) in FORMS else section
        extras = tuple((key, value) for key, value in section.extras if key not in KEYS_READ)
        threshold = (("thresh", "0"),) if isinstance(section, Detection) else ()
        layers.append(replace(printed, extras=extras + threshold))
    return replace(network, layers=tuple(layers))


def require_own_boxes(network: Network) -> None:
    """Refuses (BackendError) a network of whose boxes OpenCV drops some by itself."""
    for index in detection_layers(network):
        if isinstance(network.layers[index], sections.Region):
            raise refused(network, index, "OpenCV drops overlapping boxes of this layer by itself (IoU 0.4)")


def refused(network: Network, index: int, reason: str) -> BackendError:
    """Returns the error for a layer that OpenCV would read as another."""
    advice = "run the cfg without @opencv, or export it: seyolo export MODEL OUT.onnx"
    return BackendError(f"{network.error(index, f'OpenCV would give another result: {reason}')}; {advice}")


def _refusals(section: Section, sizes: Sequence[Size]) -> Iterator[str]:
    """Yields why the reader has no form for a section that reads layers of these sizes."""
    activation = getattr(section, "activation", "linear")
    if activation not in ACTIVATIONS:
        yield f"it has no activation={activation}"
    if not section.in_darknet:
        yield f"its reader has no [{section.kind}]"
    match section:
        case sections.Implicit() | sections.LocalAvgPool() | sections.Reorg3d():
            yield f"its reader has no [{section.kind}]"
        case sections.MaxPool(maxpool_depth=True):
            yield "it has no maxpool_depth=1"
        case sections.Convolutional() | sections.MaxPool() if len(set(section.strides)) > 1:
            yield "it has one stride for both sides"
        case sections.Convolutional() if section.kernel_dilation > 1:
            yield f"it ignores dilation={section.dilation}"
        case sections.Upsample() if section.scale != 1.0:
            yield f"it ignores scale={section.scale:g}"
        case sections.Route() if section.groups > 1 and len(section.layers) > 1:
            yield f"it takes groups={section.groups} of one layer only, not of {len(section.layers)}"
        case sections.Shortcut() if section.weights_type != "none":
            yield f"it has no weights_type={section.weights_type}"
        case sections.Shortcut() if len(section.from_) > 1:
            yield f"it adds one layer only, not the {len(section.from_)} of from="
        case sections.Shortcut() if len(set(sizes)) > 1:
            yield "it adds layers of one size only"
        case sections.ScaleChannels(scale_wh=True):
            yield "it has no scale_wh=1"


def _convolution(section: sections.Convolutional) -> sections.Convolutional:
    padding = section.size // 2 if section.pad else section.padding
    return replace(
        section, stride=section.strides[0], stride_x=0, stride_y=0, dilation=1, pad=0, padding=padding
    )


def _max_pool(section: sections.MaxPool) -> sections.MaxPool:
    return replace(
        section,
        size=section.kernel_px,
        stride=section.strides[0],
        stride_x=0,
        stride_y=0,
        padding=section.padding_px,
    )


def _yolo(section: sections.Yolo) -> sections.Yolo:
    """Returns the section with only its own anchors: the reader refuses a missing mask and other anchors."""
    anchors = tuple(side for anchor in section.masked_anchors for side in anchor)
    count = len(section.masked_anchors)
    return replace(section, mask=tuple(range(count)), anchors=anchors, num=count)


def _region(section: sections.Region) -> sections.Region:
    return replace(section, anchors=section.anchors[: 2 * section.num])


FORMS: Mapping[type[Section], Callable[[Any], Section]] = {
    sections.Convolutional: _convolution,
    sections.MaxPool: _max_pool,
    sections.Yolo: _yolo,
    sections.Region: _region,
}
