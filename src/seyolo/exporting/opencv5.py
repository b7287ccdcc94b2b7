"""Int8 for OpenCV 5.0, which computes some layers wrongly in bytes, without an error.

- Grouped and depthwise convolutions: the last places of a map are wrong where their number is no multiple of
  8, and all places where a group has more than 8 outputs, unless they are a multiple of 8.
- A sigmoid that is the only reader of a convolution or sum: OpenCV applies it with other scales. In a swish
  the product reads the convolution, too, and the result is right.

`tests/opencv5/test_opencv5_int8.py` shows both. These layers remain float32 in a file for OpenCV 5.
"""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.sections import Convolutional
from seyolo.darknet.sections.base import Section
from seyolo.errors import ExportError, counted

LEAST_IN_INT8 = 0.5  # share of the MACs; a file with fewer is hardly smaller or faster than in float32


def wrong_in_int8(network: Network, size: tuple[int, int]) -> set[int]:
    """Returns the layers that OpenCV 5 computes wrongly in int8.

    Raises:
        ExportError: they have more than half of the network's MACs.
    """
    wrong = {index for index, section in enumerate(network.layers) if _is_wrong(section)}
    costs = cost(network, *size)
    macs = sum(costs.layers[index].macs for index in wrong)
    if macs > (1 - LEAST_IN_INT8) * costs.macs:
        raise ExportError(
            f"int8 for OpenCV 5 leaves {counted(len(wrong), 'layer')} with {macs / costs.macs:.0%} of the "
            "MACs in float32: grouped convolutions and activation=logistic, which OpenCV 5 computes wrongly "
            "in int8; export without --int8, or for another runtime without --for opencv5"
        )
    return wrong


def _is_wrong(section: Section) -> bool:
    is_grouped = isinstance(section, Convolutional) and section.groups > 1
    return is_grouped or getattr(section, "activation", "") == "logistic"
