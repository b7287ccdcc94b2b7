"""Int8 for OpenCV 5.0, which computes some layers wrongly in bytes, without an error.

- Convolutions to a map whose number of places is no multiple of 8: the last places are wrong, with a kernel
  of 1x1 always, with larger ones as processor, channels and number of threads have it.
- Grouped convolutions with more than 8 outputs in a group, unless they are a multiple of 8: all places.
- A sigmoid that is the only reader of a convolution or sum: OpenCV applies it with other scales. In a swish
  the product reads the convolution, too, and the result is right.

`tests/opencv5/test_opencv5_int8.py` shows them. These layers remain float32 in a file for OpenCV 5.
"""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.sections import Convolutional, MaxPool
from seyolo.darknet.sections.base import Section
from seyolo.errors import ExportError, counted

PLACES = 8  # that OpenCV 5 computes together; what is left over is wrong
LEAST_IN_INT8 = 0.5  # share of the MACs; a file with fewer is hardly smaller or faster than in float32


def wrong_in_int8(network: Network, size: tuple[int, int]) -> set[int]:
    """Returns the layers that OpenCV 5 computes wrongly in int8.

    Raises:
        ExportError: they have more than half of the network's MACs, or OpenCV 5 fails behind them.
    """
    costs = cost(network, *size)
    layers = [(section, found.shape) for section, found in zip(network.layers, costs.layers, strict=True)]
    if any(_fails(section, shape) for section, shape in layers):
        raise ExportError(
            "OpenCV 5 fails in int8 where a pool halves a map to places whose number is no multiple of "
            f"{PLACES}; export without --int8, or at a --size that is a multiple of 128"
        )
    wrong = {index for index, (section, shape) in enumerate(layers) if _is_wrong(section, shape)}
    macs = sum(costs.layers[index].macs for index in wrong)
    if macs > (1 - LEAST_IN_INT8) * costs.macs:
        raise ExportError(
            f"int8 for OpenCV 5 leaves {counted(len(wrong), 'layer')} with {macs / costs.macs:.0%} of the "
            "MACs in float32, which OpenCV 5 computes wrongly in int8: grouped convolutions, "
            f"activation=logistic, and maps whose places are no multiple of {PLACES}; export without --int8, "
            "at a --size that is a multiple of 128, or for another runtime without --for opencv5"
        )
    return wrong


def _fails(section: Section, shape: tuple[int, int, int]) -> bool:
    return isinstance(section, MaxPool) and max(section.strides) > 1 and _is_uneven(shape)


def _is_wrong(section: Section, shape: tuple[int, int, int]) -> bool:
    if getattr(section, "activation", "") == "logistic":
        return True
    if not isinstance(section, Convolutional):
        return False
    return section.groups > 1 or _is_uneven(shape)


def _is_uneven(shape: tuple[int, int, int]) -> bool:
    _, height, width = shape
    return height * width % PLACES > 0
