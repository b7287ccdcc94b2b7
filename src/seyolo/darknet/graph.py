"""Graph of a network: inputs, channels, sizes and strides of every layer.

Layers are numbered from 0 in the order of the cfg; -1 is the image. Each section declares its own wiring (see
`sections.base`). A layer that does not fit is a `CfgError` with file and line; a network too large for any
machine is refused here, before memory is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import NamedTuple

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Detection
from seyolo.darknet.sections.base import Size, WiringError, size_text
from seyolo.errors import CfgError

IMAGE = -1
MAX_ACTIVATIONS = 1 << 33
"""Most numbers all layers of one image may hold together (32 GiB as float32)."""
MAX_CHANNELS = 1 << 20
MAX_STRIDE = 1 << 16


class Shape(NamedTuple):
    """The output of a layer for one image."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> Size:
        """(height, width) in cells."""
        return self.height, self.width


def inputs(network: Network) -> tuple[tuple[int, ...], ...]:
    """Returns, per layer, the layers it reads, in order; -1 is the image.

    A `[route]` reads only the layers it names. All others read the layer in front, then those they name:
    `[scale_channels]` the factors, then the features to be scaled. An `[implicit]` takes nothing from the
    layer in front, but counts as reading it.
    """
    return tuple(section.inputs(index) for index, section in enumerate(network.layers))


def consumers(network: Network) -> tuple[tuple[int, ...], ...]:
    """Returns, per layer, the layers that read it, in order, each once."""
    readers: list[list[int]] = [[] for _ in network.layers]
    for index, sources in enumerate(inputs(network)):
        for source in dict.fromkeys(sources):
            if source != IMAGE:
                readers[source].append(index)
    return tuple(tuple(layers) for layers in readers)


def detection_layers(network: Network) -> tuple[int, ...]:
    """Returns the indices of the `[yolo]` and `[region]` layers."""
    return tuple(index for index, section in enumerate(network.layers) if isinstance(section, Detection))


def num_classes(network: Network) -> int:
    """Returns the number of classes, which all `[yolo]` and `[region]` layers share.

    Raises:
        CfgError: there is no such layer, or two such layers differ.
    """
    counts = [(i, layer.classes) for i, layer in enumerate(network.layers) if isinstance(layer, Detection)]
    if not counts:
        raise CfgError("the network has no [yolo] or [region] layer, so it detects nothing", network.source)
    first, expected = counts[0]
    for index, count in counts:
        if count != expected:
            raise network.error(index, f"classes={count}, but layer {first} has classes={expected}")
    return expected


def channels(network: Network) -> tuple[int, ...]:
    """Returns, per layer, the number of output channels.

    Raises:
        CfgError: channels that do not fit each other.
    """
    widths: list[int] = []
    for index, section in enumerate(network.layers):
        sources = section.inputs(index)
        for source in sources:
            front = network.layers[source]
            if source != IMAGE and isinstance(front, Detection):
                message = f"reads layer {source}, a [{front.kind}], whose output is boxes; use [route]"
                raise network.error(index, message)
        read = [network.net.channels if source == IMAGE else widths[source] for source in sources]
        try:
            widths.append(section.output_channels(read))
        except WiringError as error:
            raise network.error(index, str(error)) from None
        if widths[-1] > MAX_CHANNELS:
            raise network.error(index, f"more than {MAX_CHANNELS} channels")
    return tuple(widths)


def strides(network: Network) -> tuple[Fraction | None, ...]:
    """Returns, per layer, how many image pixels one cell spans (the larger of both directions).

    None after `[avgpool]` and `[implicit]`, where one cell spans the whole image. Below 1 where the network
    upsamples past the image.
    """
    spans: list[Fraction | None] = []
    for index, section in enumerate(network.layers):
        read = [Fraction(1) if source == IMAGE else spans[source] for source in section.inputs(index)]
        known = [span for span in read if span is not None]
        span = section.output_stride(known) if known else None
        if span is not None and not Fraction(1, MAX_STRIDE) <= span <= MAX_STRIDE:
            raise network.error(index, f"the stride of the network passes {MAX_STRIDE} here")
        spans.append(span)
    return tuple(spans)


def max_stride(network: Network) -> int:
    """Returns the largest stride in pixels: height and width of an image must be multiples of it."""
    return max((int(span) for span in strides(network) if span is not None and span >= 1), default=1)


def shapes(network: Network, height: int | None = None, width: int | None = None) -> tuple[Shape, ...]:
    """Returns, per layer, its output for an image of (`height`, `width`) pixels, by default the `[net]` size.

    Raises:
        CfgError: layers that do not fit, an image size that is no multiple of the largest stride, or a
            network too large for any machine.
    """
    net = network.net
    image = (net.height if height is None else height, net.width if width is None else width)
    check_image_size(network, *image)
    results: list[Shape] = []
    total = 0
    for index, (count, section) in enumerate(zip(channels(network), network.layers, strict=True)):
        sources = section.inputs(index)
        read = [image if source == IMAGE else results[source].size for source in sources]
        results.append(Shape(count, *_output_size(network, index, read)))
        total += prod(results[-1])
        if total > MAX_ACTIVATIONS:
            message = f"the network needs more than {MAX_ACTIVATIONS * 4 >> 30} GiB for one image"
            raise network.error(index, f"{message} of {size_text(image)} from here on")
    return tuple(results)


def check_image_size(network: Network, height: int, width: int) -> None:
    """Refuses an image size (pixels) that is not a positive multiple of the largest stride."""
    step = max_stride(network)
    for name, side in (("height", height), ("width", width)):
        if side < step or side % step:
            below = side // step * step
            proposals = f"{below} or {below + step}" if below > 0 else f"{step}"
            message = f"an image {name} of {side} is no multiple of {step}, the largest stride of the network"
            raise CfgError(f"{message}; take {proposals}", network.source, network.net.line)


def _output_size(network: Network, index: int, read: Sequence[Size]) -> Size:
    section = network.layers[index]
    sources = section.inputs(index)
    for source, size in zip(sources, read, strict=True):
        if section.needs_equal_sizes and size != read[0]:
            message = f"joins layer {sources[0]} of {size_text(read[0])} with layer {source} of"
            raise network.error(index, f"{message} {size_text(size)} (width x height); they must be equal")
    try:
        size = section.output_size(read)
    except WiringError as error:
        raise network.error(index, str(error)) from None
    if min(size) < 1:
        raise network.error(index, f"nothing is left of the {size_text(read[0])} in front")
    return size
