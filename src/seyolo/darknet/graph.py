"""The wiring of a network: who reads whom, shapes, strides, and the checks a description must pass.

Layers are numbered from 0 in the order of the cfg; -1 is the image. Whatever cannot be wired is a
`CfgError` with file and line, and a network too large for any machine is refused here, before anything is
allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import (
    AvgPool,
    Convolutional,
    Detection,
    Implicit,
    LocalAvgPool,
    MaxPool,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
)
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
    def size(self) -> tuple[int, int]:
        """(height, width) in cells."""
        return self.height, self.width


def inputs(network: Network) -> tuple[tuple[int, ...], ...]:
    """Per layer the layers it reads, in order; -1 is the image.

    A `[route]` reads only what it names. `[shortcut]`, `[sam]` and `[scale_channels]` read the layer in front
    first, then what they name: for `[scale_channels]` the factors, then the features to be scaled. An
    `[implicit]` counts as reading the layer in front, though it takes nothing from it.
    """
    return tuple(
        tuple(reference.layer for reference in section.references())
        if isinstance(section, Route)
        else (index - 1, *(reference.layer for reference in section.references()))
        for index, section in enumerate(network.layers)
    )


def consumers(network: Network) -> tuple[tuple[int, ...], ...]:
    """Per layer the layers that read it, in order, each once."""
    readers: list[list[int]] = [[] for _ in network.layers]
    for index, sources in enumerate(inputs(network)):
        for source in dict.fromkeys(sources):
            if source != IMAGE:
                readers[source].append(index)
    return tuple(tuple(layers) for layers in readers)


def detection_layers(network: Network) -> tuple[int, ...]:
    """The indices of the `[yolo]` and `[region]` layers."""
    return tuple(index for index, section in enumerate(network.layers) if isinstance(section, Detection))


def num_classes(network: Network) -> int:
    """The number of classes all `[yolo]` and `[region]` layers share.

    Raises:
        CfgError: there is no such layer, or two of them differ.
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
    """Per layer the number of output channels.

    Raises:
        CfgError: channels that do not fit each other.
    """
    widths: list[int] = []
    for index, sources in enumerate(inputs(network)):
        for source in sources:
            front = network.layers[source]
            if source != IMAGE and isinstance(front, Detection):
                raise network.error(
                    index, f"reads layer {source}, a [{front.kind}], whose output is boxes; use [route]"
                )
        read = [network.net.channels if source == IMAGE else widths[source] for source in sources]
        widths.append(_out_channels(network, index, read))
        if widths[-1] > MAX_CHANNELS:
            raise network.error(index, f"more than {MAX_CHANNELS} channels")
    return tuple(widths)


def _out_channels(network: Network, index: int, read: Sequence[int]) -> int:
    section = network.layers[index]
    if isinstance(section, Convolutional):
        if read[0] % section.groups or section.filters % section.groups:
            message = f"groups={section.groups} must divide the {read[0]} channels it reads and"
            raise network.error(index, f"{message} filters={section.filters}")
        return section.filters
    if isinstance(section, Implicit):
        return section.filters
    if isinstance(section, Route):
        return _route_channels(network, index, section, read)
    if isinstance(section, ScaleChannels | Sam):
        return _product_channels(network, index, section, read)
    if isinstance(section, Reorg | Reorg3d | MaxPool):
        return _rearranged_channels(network, index, section, read[0])
    if isinstance(section, Detection):
        _check_detection(network, index, section, read[0])
    return read[0]


def _route_channels(network: Network, index: int, section: Route, read: Sequence[int]) -> int:
    for source, width in zip(section.references(), read, strict=True):
        if width % section.groups:
            message = f"groups={section.groups} does not divide the {width} channels of layer"
            raise network.error(index, f"{message} {source.layer}")
    return sum(width // section.groups for width in read)


def _product_channels(network: Network, index: int, section: ScaleChannels | Sam, read: Sequence[int]) -> int:
    factors, features = read
    if isinstance(section, ScaleChannels) and section.scale_wh:
        if factors != 1:
            raise network.error(index, f"scale_wh=1 needs one channel in front, got {factors}")
    elif factors != features:
        message = f"multiplies {features} channels of layer {section.from_[0].layer} with"
        raise network.error(index, f"{message} {factors} of the layer in front; they must be equal")
    return features


def _rearranged_channels(network: Network, index: int, section: Reorg | Reorg3d | MaxPool, width: int) -> int:
    if isinstance(section, MaxPool):
        if not section.maxpool_depth:
            return width
        if width % section.out_channels:
            message = f"out_channels={section.out_channels} does not divide the {width} channels in front"
            raise network.error(index, message)
        return section.out_channels
    area = section.stride**2
    if isinstance(section, Reorg) and width % area:
        raise network.error(
            index, f"stride={section.stride} needs a multiple of {area} channels, got {width}"
        )
    return width * area


def _check_detection(network: Network, index: int, section: Detection, width: int) -> None:
    num_anchors = len(section.masked_anchors)
    expected = num_anchors * (5 + section.classes)
    if width != expected:
        message = f"{num_anchors} anchors and classes={section.classes} need {expected} channels in front"
        formula = f"{num_anchors}·(5+{section.classes})"
        raise network.error(index, f"{message} ({formula}), got {width}: set filters={expected} there")


def strides(network: Network) -> tuple[Fraction | None, ...]:
    """Per layer how many image pixels one cell spans (the larger of both directions).

    None after `[avgpool]` and `[implicit]`, where one cell spans whatever there is. Below 1 where the network
    upsamples past the image.
    """
    spans: list[Fraction | None] = []
    for index, sources in enumerate(inputs(network)):
        read = [Fraction(1) if source == IMAGE else spans[source] for source in sources]
        span = _stride(network.layers[index], read)
        if span is not None and not Fraction(1, MAX_STRIDE) <= span <= MAX_STRIDE:
            raise network.error(index, f"the stride of the network passes {MAX_STRIDE} here")
        spans.append(span)
    return tuple(spans)


def _stride(section: Section, read: Sequence[Fraction | None]) -> Fraction | None:
    known = [span for span in read if span is not None]
    if isinstance(section, AvgPool | Implicit) or not known:
        return None
    if isinstance(section, MaxPool) and section.maxpool_depth:
        return known[0]
    if isinstance(section, Convolutional | MaxPool | LocalAvgPool):
        return known[0] * max(section.strides)
    if isinstance(section, Reorg | Reorg3d):
        return known[0] * section.stride
    if isinstance(section, Upsample):
        return known[0] / section.stride
    return max(known)


def max_stride(network: Network) -> int:
    """The largest stride in pixels: height and width of an image must be multiples of it."""
    return max((int(span) for span in strides(network) if span is not None and span >= 1), default=1)


def shapes(network: Network, height: int | None = None, width: int | None = None) -> tuple[Shape, ...]:
    """Per layer its output for an image of (`height`, `width`) pixels, by default the `[net]` size.

    Raises:
        CfgError: wrong wiring, an image size that is no multiple of the largest stride, or a network
            that no machine could hold.
    """
    net = network.net
    image = Shape(
        net.channels, net.height if height is None else height, net.width if width is None else width
    )
    check_image_size(network, image.height, image.width)
    results: list[Shape] = []
    total = 0
    for index, (count, sources) in enumerate(zip(channels(network), inputs(network), strict=True)):
        read = [image if source == IMAGE else results[source] for source in sources]
        cells = _out_size(network, index, read)
        total += count * cells[0] * cells[1]
        if total > MAX_ACTIVATIONS:
            message = f"the network needs more than {MAX_ACTIVATIONS * 4 >> 30} GiB for one image"
            raise network.error(index, f"{message} of {image.width}x{image.height} from here on")
        results.append(Shape(count, *cells))
    return tuple(results)


def check_image_size(network: Network, height: int, width: int) -> None:
    """Refuses an image size (pixels) that is not positive or no multiple of the largest stride."""
    step = max_stride(network)
    for name, side in (("height", height), ("width", width)):
        if side < step or side % step:
            below = side // step * step
            proposals = f"{below} or {below + step}" if below > 0 else f"{step}"
            message = f"an image {name} of {side} is no multiple of {step}, the largest stride of the network"
            raise CfgError(f"{message}; take {proposals}", network.source, network.net.line)


def _out_size(network: Network, index: int, read: Sequence[Shape]) -> tuple[int, int]:
    section = network.layers[index]
    front = read[0]
    if isinstance(section, Convolutional):
        reach = section.kernel_dilation * (section.size - 1) + 1
        size = _windows(front.size, 2 * section.padding_px, reach, section.strides)
    elif isinstance(section, MaxPool) and section.maxpool_depth:
        size = front.size
    elif isinstance(section, MaxPool | LocalAvgPool):
        size = _windows(front.size, section.padding_px, section.kernel_px, section.strides)
    elif isinstance(section, AvgPool | Implicit):
        size = (1, 1)
    elif isinstance(section, Upsample):
        size = (front.height * section.stride, front.width * section.stride)
    elif isinstance(section, Reorg | Reorg3d):
        size = _shrunk(network, index, front.size, section.stride)
    elif isinstance(section, ScaleChannels) and not section.scale_wh:
        if front.size != (1, 1):
            raise network.error(index, f"needs 1x1 factors in front, got {_text(front.size)}")
        size = read[1].size
    else:
        if isinstance(section, Route | Shortcut | Sam | ScaleChannels):
            _check_equal_sizes(network, index, read)
        size = front.size
    if min(size) < 1:
        raise network.error(index, f"nothing is left of the {_text(front.size)} in front")
    return size


def _shrunk(network: Network, index: int, size: tuple[int, int], step: int) -> tuple[int, int]:
    if size[0] % step or size[1] % step:
        raise network.error(index, f"stride={step} does not divide the {_text(size)} in front")
    return size[0] // step, size[1] // step


def _windows(size: tuple[int, int], padding: int, reach: int, steps: tuple[int, int]) -> tuple[int, int]:
    height, width = ((side + padding - reach) // step + 1 for side, step in zip(size, steps, strict=True))
    return height, width


def _check_equal_sizes(network: Network, index: int, read: Sequence[Shape]) -> None:
    if all(shape.size == read[0].size for shape in read):
        return
    for source, shape in zip(inputs(network)[index], read, strict=True):
        if shape.size != read[0].size:
            first = inputs(network)[index][0]
            message = f"joins layer {first} of {_text(read[0].size)} with layer {source} of"
            raise network.error(index, f"{message} {_text(shape.size)} (width x height); they must be equal")


def _text(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
