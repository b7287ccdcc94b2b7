"""Random valid networks for property tests: `networks()`.

Every network wires up, its image is 32 or 64 pixels a side, its channels are few, and each layer is read by
some other layer or is a `[yolo]`. Together the blocks use every section seyolo knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from hypothesis import strategies as st

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import (
    AvgPool,
    Cbam,
    Convolutional,
    CoordAtt,
    Dropout,
    Eca,
    Implicit,
    LocalAvgPool,
    MaxPool,
    Net,
    Reference,
    Region,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    SimAm,
    Upsample,
    Yolo,
)

WIDTHS = (4, 6, 8, 12)
ACTIVATIONS = ("leaky", "relu", "mish", "swish", "linear", "logistic", "relu6", "selu", "gelu", "lhtan")
MAX_STRIDE = 8
POOLED = 0


@dataclass
class Sketch:
    """A network under construction; `widths` and `spans` are the channels and the stride of every layer.

    The stride is `POOLED` behind `[avgpool]`.
    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    layers: list[Section] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)

    @property
    def last(self) -> int:
        return len(self.layers) - 1

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def add(self, section: Section, width: int | None = None, span: int | None = None) -> int:
        self.layers.append(section)
        self.widths.append(self.widths[-1] if width is None else width)
        self.spans.append(self.spans[-1] if span is None else span)
        return self.last

    def reference(self, layer: int) -> Reference:
        return Reference(layer, relative=self.draw(st.booleans()))

    def conv(self, width: int, *, size: int = 3, stride: int = 1, groups: int = 1, **keys: Any) -> int:
        span = (self.spans[-1] if self.spans else 1) * stride
        keys = {"batch_normalize": self.choose(1, 0), "activation": self.choose(*ACTIVATIONS)} | keys
        section = Convolutional(filters=width, size=size, stride=stride, pad=1, groups=groups, **keys)
        return self.add(section, width, span)


def plain(sketch: Sketch) -> None:
    size = sketch.choose(1, 3, 5)
    sketch.conv(sketch.choose(*WIDTHS), size=size, dilation=sketch.choose(1, 2) if size == 3 else 1)


def downsample(sketch: Sketch) -> None:
    if sketch.spans[-1] < MAX_STRIDE:
        sketch.conv(sketch.choose(*WIDTHS), stride=2)


def depthwise(sketch: Sketch) -> None:
    width = sketch.widths[-1]
    sketch.conv(width, groups=width)


def grouped(sketch: Sketch) -> None:
    if sketch.widths[-1] % 2 == 0:
        sketch.conv(sketch.choose(*WIDTHS), groups=2)


def residual(sketch: Sketch) -> None:
    trunk = sketch.last
    sketch.conv(sketch.choose(4, 8), size=1)
    sketch.conv(sketch.widths[trunk])
    if sketch.choose(False, True):
        sketch.add(Dropout(extras=(("probability", ".2"),)))
    sketch.add(Shortcut(from_=(sketch.reference(trunk),), activation=sketch.choose("linear", "leaky")))


def uneven_shortcut(sketch: Sketch) -> None:
    trunk = sketch.last
    sketch.conv(sketch.choose(*WIDTHS))
    sketch.add(Shortcut(from_=(sketch.reference(trunk),)))


def triple_shortcut(sketch: Sketch) -> None:
    first, width = sketch.last, sketch.widths[-1]
    second = sketch.conv(width)
    sketch.conv(width)
    sketch.add(Shortcut(from_=(sketch.reference(first), sketch.reference(second))))


def weighted_shortcut(sketch: Sketch) -> None:
    trunk = sketch.last
    sketch.conv(sketch.choose(sketch.widths[trunk], *WIDTHS))
    sketch.add(
        Shortcut(
            from_=(sketch.reference(trunk),),
            weights_type=sketch.choose("per_feature", "per_channel"),
            weights_normalization=sketch.choose("none", "relu", "softmax"),
        )
    )


def reorganise(sketch: Sketch) -> None:
    """As in YOLOv2: space to depth beside what a strided convolution makes of the same layer."""
    front, width, span = sketch.last, sketch.widths[-1], sketch.spans[-1]
    if span >= MAX_STRIDE or width > 12:
        return
    section = Reorg(stride=2) if width % 4 == 0 and sketch.choose(False, True) else Reorg3d(stride=2)
    mixed = sketch.add(section, 4 * width, 2 * span)
    sketch.add(Route(layers=(sketch.reference(front),)), width, span)
    beside = sketch.conv(sketch.choose(*WIDTHS), stride=2)
    layers = (sketch.reference(mixed), sketch.reference(beside))
    sketch.add(Route(layers=layers), 4 * width + sketch.widths[beside])
    sketch.conv(sketch.choose(*WIDTHS), size=1)


def local_average(sketch: Sketch) -> None:
    sketch.add(LocalAvgPool(size=sketch.choose(2, 3), stride=1))


def maximum_over_channels(sketch: Sketch) -> None:
    width = sketch.widths[-1]
    if width % 2 == 0:
        sketch.add(MaxPool(maxpool_depth=True, out_channels=width // 2), width // 2)
        sketch.conv(sketch.choose(*WIDTHS), size=1)


def pool(sketch: Sketch) -> None:
    sketch.add(MaxPool(size=sketch.choose(2, 3, 5), stride=1))


def pool_down(sketch: Sketch) -> None:
    if sketch.spans[-1] < MAX_STRIDE:
        sketch.add(MaxPool(size=sketch.choose(2, 3), stride=2), span=2 * sketch.spans[-1])


def upsample(sketch: Sketch) -> None:
    if sketch.spans[-1] > 1:
        sketch.add(Upsample(stride=2), span=sketch.spans[-1] // 2)


def concatenate(sketch: Sketch) -> None:
    front = sketch.last
    equal = [layer for layer in range(front) if sketch.spans[layer] == sketch.spans[front]]
    if equal and sketch.widths[front] <= 24:
        others = sketch.draw(st.lists(st.sampled_from(equal), min_size=1, max_size=2, unique=True))
        layers = sketch.draw(st.permutations([front, *others]))
        width = sum(sketch.widths[layer] for layer in layers)
        sketch.add(Route(layers=tuple(sketch.reference(layer) for layer in layers)), width)


def split(sketch: Sketch) -> None:
    front, width = sketch.last, sketch.widths[-1]
    if width % 2 == 0:
        part = sketch.choose(0, 1)
        sketch.add(Route(layers=(sketch.reference(front),), groups=2, group_id=part), width // 2)
        inner = sketch.conv(sketch.choose(4, 8))
        both = (sketch.reference(inner), sketch.reference(front))
        sketch.add(Route(layers=both), sketch.widths[inner] + width)
        sketch.conv(sketch.choose(*WIDTHS), size=1)


def squeeze_and_excite(sketch: Sketch) -> None:
    source, width, span = sketch.last, sketch.widths[-1], sketch.spans[-1]
    sketch.add(AvgPool(), span=POOLED)
    sketch.conv(4, size=1, batch_normalize=0, activation="relu")
    sketch.conv(width, size=1, batch_normalize=0, activation="logistic")
    sketch.add(ScaleChannels(from_=(sketch.reference(source),)), span=span)
    if sketch.choose(False, True):
        sketch.add(Shortcut(from_=(sketch.reference(source),)))


def spatial_attention(sketch: Sketch) -> None:
    source = sketch.last
    sketch.conv(sketch.widths[-1], size=1, activation="logistic")
    sketch.add(Sam(from_=(sketch.reference(source),)))


def factor_per_pixel(sketch: Sketch) -> None:
    source, width = sketch.last, sketch.widths[-1]
    sketch.conv(1, size=1, activation="logistic")
    sketch.add(ScaleChannels(from_=(sketch.reference(source),), scale_wh=True), width)


def learned_factor(sketch: Sketch) -> None:
    source, width, span = sketch.last, sketch.widths[-1], sketch.spans[-1]
    sketch.add(Implicit(filters=width, mean=1.0), width, POOLED)
    sketch.add(ScaleChannels(from_=(sketch.reference(source),)), width, span)


def cbam(sketch: Sketch) -> None:
    sketch.add(Cbam(hidden=sketch.choose(2, 4), size=sketch.choose(3, 7), join=sketch.choose("scale", "add")))


def gate_of(sketch: Sketch) -> dict[str, Any]:
    return {"join": sketch.choose("scale", "add"), "gain": sketch.choose(1.0, 1.5)}


def eca(sketch: Sketch) -> None:
    sketch.add(Eca(size=sketch.choose(1, 3, 5), **gate_of(sketch)))


def pruned_eca(sketch: Sketch) -> None:
    size, steps = sketch.choose(3, 5), [sketch.choose(1, 2, 3) for _ in range(sketch.widths[-1] - 1)]
    positions = tuple(accumulate(steps, initial=0))
    sketch.add(Eca(size=size, positions=positions, **gate_of(sketch)))


def coordatt(sketch: Sketch) -> None:
    sketch.add(CoordAtt(hidden=sketch.choose(2, 4), **gate_of(sketch)))


def simam(sketch: Sketch) -> None:
    sketch.add(SimAm(**gate_of(sketch)))


OWN_BLOCKS = (cbam, eca, pruned_eca, coordatt, simam)
DARKNET_BLOCKS = (
    plain, downsample, depthwise, grouped, residual, residual, uneven_shortcut, triple_shortcut, pool,
    pool_down, upsample, concatenate, split, squeeze_and_excite, spatial_attention, weighted_shortcut,
    reorganise, local_average, maximum_over_channels, factor_per_pixel, learned_factor,
)  # fmt: skip


def head(sketch: Sketch, classes: int, mask: tuple[int, ...], anchors: tuple[float, ...]) -> None:
    sketch.conv(len(mask) * (5 + classes), size=1, batch_normalize=0, activation="linear")
    if sketch.choose(False, False, True):
        first, last = 2 * mask[0], 2 * mask[-1] + 2
        sketch.add(Region(anchors=anchors[first:last], classes=classes, num=len(mask), softmax=True))
    else:
        sketch.add(Yolo(mask=mask, anchors=anchors, classes=classes, num=len(anchors) // 2))


@st.composite
def networks(
    draw: st.DrawFn, max_blocks: int = 6, only_darknet: bool = False, heads: tuple[int, ...] = (1, 2)
) -> Network:
    """A random valid `Network` of a stem, up to `max_blocks` blocks and one or two heads.

    With `only_darknet` every section has a form in Darknet, so `.weights` can be written.
    """
    sketch = Sketch(draw)
    sketch.conv(draw(st.sampled_from(WIDTHS)), stride=draw(st.sampled_from((1, 2))))
    blocks = DARKNET_BLOCKS if only_darknet else (*DARKNET_BLOCKS, *OWN_BLOCKS)
    for block in draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=max_blocks)):
        block(sketch)
    body = sketch.last
    classes = draw(st.integers(1, 3))
    anchors = (4.0, 5.0, 8.0, 7.5, 12.0, 16.0, 20.0, 24.0)
    head(sketch, classes, (2, 3), anchors)
    if draw(st.sampled_from(heads)) == 2:
        source = draw(st.sampled_from([i for i in range(body + 1) if sketch.spans[i] != POOLED]))
        sketch.add(Route(layers=(sketch.reference(source),)), sketch.widths[source], sketch.spans[source])
        head(sketch, classes, (0, 1), anchors)
    height, width = draw(st.sampled_from([(32, 32), (32, 64), (64, 32)]))
    net = Net(width=width, height=height, letter_box=draw(st.booleans()), extras=(("batch", "1"),))
    return Network(net, tuple(sketch.layers), "random")
