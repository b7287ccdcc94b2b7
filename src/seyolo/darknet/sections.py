"""The typed sections of a Darknet cfg, as AlexeyAB's Darknet defines them.

Each section is a frozen dataclass whose fields are the keys that change the forward pass, with Darknet's
own defaults and the bounds of what a cfg may say there; a default outside of them means "not given".
Keys that only matter in Darknet's training are kept, in order, in `extras` and printed back.
A key that would change the result and is not supported is refused unless it holds its neutral value.
`[cbam]` is seyolo's own section: Darknet has no form for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

from seyolo.darknet.bounds import Count, NotNegative, Positive, Switch

Activation = Literal[
    "linear", "leaky", "relu", "relu6", "logistic", "swish", "mish", "hard_mish", "hardtan", "tanh", "elu",
    "selu", "gelu", "loggy", "relie", "ramp", "plse", "lhtan",
]  # fmt: skip
Join = Literal["scale", "add"]
WeightsType = Literal["none", "per_feature", "per_layer", "per_channel"]
"""`per_layer` is Darknet's other name for `per_feature`: one weight for each added layer."""
WeightsNormalization = Literal["none", "relu", "avg_relu", "softmax"]


@dataclass(frozen=True)
class Reference:
    """Another layer, by its absolute index; `relative` only says how the cfg spells it."""

    layer: int
    relative: bool = True


@dataclass(frozen=True, kw_only=True)
class Section:
    """What every section has besides its keys.

    Attributes:
        extras: training keys, kept in order.
        comments, notes: comment lines above the section and inside it; not compared.
        line: where it came from; not compared.
    """

    kind: ClassVar[str]
    training_keys: ClassVar[frozenset[str]] = frozenset()
    neutral_values: ClassVar[dict[str, str]] = {}

    extras: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    line: int = field(default=0, compare=False)

    def references(self) -> tuple[Reference, ...]:
        """The layers this section names besides the one in front of it."""
        return ()

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        """The same section with every named layer `n` replaced by `new_layer(n)`."""
        del new_layer
        return self


def _move(references: tuple[Reference, ...], new_layer: Callable[[int], int]) -> tuple[Reference, ...]:
    return tuple(Reference(new_layer(reference.layer), reference.relative) for reference in references)


@dataclass(frozen=True, kw_only=True)
class Net(Section):
    """`[net]`: the image the network reads."""

    kind: ClassVar[str] = "net"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """batch subdivisions momentum decay learning_rate learning_rate_min burn_in max_batches policy steps
        scales step scale gamma power angle saturation exposure hue aspect center mosaic mosaic_bound cutmix
        mixup blur gaussian_noise flip max_crop min_crop crop time_steps track augment_speed try_fix_nan
        optimized_memory
        workspace_size_limit_MB dynamic_minibatch sequential_subdivisions num_steps seq_scales ema_alpha
        use_cuda_graph loss_scale max_chart_loss adversarial_lr attention label_smooth_eps sgdr_cycle
        sgdr_mult reset adam B1 B2 eps weights_reject_freq equidistant_point badlabels_rejection_percentage
        num_sigmas_reject_badlabels unsupervised contrastive contrastive_jit_flip contrastive_color
        contrastive_neg_max show_receptive_field random classes init_sequential_subdivisions sequence
        max_ratio min_ratio clip notruth inputs
        """.split()
    )

    width: Count = 416
    height: Count = 416
    channels: Count = 3
    letter_box: bool = False

    @property
    def letterbox_mode(self) -> Literal["letterbox", "stretch"]:
        """How an image is fitted to the input: with its aspect ratio kept and padding, or stretched."""
        return "letterbox" if self.letter_box else "stretch"


@dataclass(frozen=True, kw_only=True)
class Convolutional(Section):
    """`[convolutional]`: convolution, optional batch normalisation, activation.

    `pad=1` pads `size // 2`; otherwise `padding` pixels. `stride_x`/`stride_y` override `stride` when set.
    """

    kind: ClassVar[str] = "convolutional"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """stopbackward dont_update burnin_update train_only_bn time_normalizer assisted_excitation
        keep_delta_gpu grad_centr learning_rate decay stream wait_stream""".split()
    )
    neutral_values: ClassVar[dict[str, str]] = dict.fromkeys(
        """xnor binary bin_output use_bin_output antialiasing sway rotate stretch stretch_sway angle dot
        coordconv reverse flipped dontload dontloadscales""".split(),
        "0",
    ) | {"share_index": "-1000000000", "cbn": "0"}

    batch_normalize: Switch = 0
    filters: Count = 1
    size: Count = 1
    stride: Count = 1
    stride_x: Count = 0
    stride_y: Count = 0
    pad: Switch = 0
    padding: NotNegative = 0
    groups: Count = 1
    dilation: Count = 1
    activation: Activation = "logistic"

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride in pixels."""
        return self.stride_y or self.stride, self.stride_x or self.stride

    @property
    def kernel_dilation(self) -> int:
        """Darknet ignores the dilation of a 1x1 kernel."""
        return self.dilation if self.size > 1 else 1

    @property
    def padding_px(self) -> int:
        """Zero padding on every side in pixels."""
        return (self.size // 2 if self.pad else self.padding) * self.kernel_dilation


@dataclass(frozen=True, kw_only=True)
class _Pool(Section):
    """A window that slides; pads `size - 1` in all by default, `padding // 2` of it on the left and top."""

    training_keys: ClassVar[frozenset[str]] = frozenset(["stopbackward"])

    size: Count = 0
    stride: Count = 1
    stride_x: Count = 0
    stride_y: Count = 0
    padding: NotNegative = -1

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride in pixels."""
        return self.stride_y or self.stride, self.stride_x or self.stride

    @property
    def kernel_px(self) -> int:
        """Window side in pixels; the stride when the cfg gives none."""
        return self.size or self.stride

    @property
    def padding_px(self) -> int:
        """Padding in all (both sides together) in pixels."""
        return self.kernel_px - 1 if self.padding < 0 else self.padding


@dataclass(frozen=True, kw_only=True)
class MaxPool(_Pool):
    """`[maxpool]`: the largest number in a window.

    With `maxpool_depth` it looks across channels instead: output channel g is the largest of the input
    channels g, g + `out_channels`, g + 2·`out_channels`, … of the same pixel.
    """

    kind: ClassVar[str] = "maxpool"
    neutral_values: ClassVar[dict[str, str]] = {"antialiasing": "0", "maxpool_zero_nonmax": "0"}

    maxpool_depth: bool = False
    out_channels: Count = 1


@dataclass(frozen=True, kw_only=True)
class LocalAvgPool(_Pool):
    """`[local_avgpool]`: the mean of what of a window lies inside the image."""

    kind: ClassVar[str] = "local_avgpool"


@dataclass(frozen=True, kw_only=True)
class AvgPool(Section):
    """`[avgpool]`: the mean over the whole image, one value per channel."""

    kind: ClassVar[str] = "avgpool"


@dataclass(frozen=True, kw_only=True)
class Upsample(Section):
    """`[upsample]`: nearest neighbour, `stride` times larger."""

    kind: ClassVar[str] = "upsample"

    stride: Count = 2
    scale: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class Reorg(Section):
    """`[reorg]`: space to depth as YOLOv2 has it, with the channels in a peculiar order.

    The memory of C channels of H x W is read as C / s² channels of H·s x W·s, and of that the pixels s apart
    become channels. AlexeyAB's Darknet calls it reorg_old.
    """

    kind: ClassVar[str] = "reorg"
    neutral_values: ClassVar[dict[str, str]] = {"reverse": "0", "flatten": "0", "extra": "0"}

    stride: Count = 1


@dataclass(frozen=True, kw_only=True)
class Reorg3d(Section):
    """`[reorg3d]`: space to depth; output channel (y·s + x)·C + c is pixel (y, x) of each s x s block."""

    kind: ClassVar[str] = "reorg3d"
    neutral_values: ClassVar[dict[str, str]] = {"reverse": "0"}

    stride: Count = 1


@dataclass(frozen=True, kw_only=True)
class Implicit(Section):
    """`[implicit]`: learned constants, `filters` channels of 1 x 1, whatever the image.

    It stands in front of a `[scale_channels]`. `mean` is where training starts.
    """

    kind: ClassVar[str] = "implicit"
    training_keys: ClassVar[frozenset[str]] = frozenset(["std"])
    neutral_values: ClassVar[dict[str, str]] = {"atoms": "1"}

    filters: Count = 128
    mean: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Dropout(Section):
    """`[dropout]`: nothing at inference; kept so that layer indices stay what they are."""

    kind: ClassVar[str] = "dropout"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """probability dropblock dropblock_size_rel dropblock_size_abs""".split()
    )


@dataclass(frozen=True, kw_only=True)
class Route(Section):
    """`[route]`: concatenates layers along the channels, or takes part `group_id` of `groups` of each."""

    kind: ClassVar[str] = "route"
    training_keys: ClassVar[frozenset[str]] = frozenset(["stopbackward", "stream", "wait_stream"])

    layers: tuple[Reference, ...] = ()
    groups: Count = 1
    group_id: NotNegative = 0

    def references(self) -> tuple[Reference, ...]:
        return self.layers

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        return replace(self, layers=_move(self.layers, new_layer))


@dataclass(frozen=True, kw_only=True)
class Shortcut(Section):
    """`[shortcut]`: adds the named layers to the one in front, the first min(c) channels of each.

    With a `weights_type` every added layer has a learned weight, or one per channel, which
    `weights_normalization` turns into shares.
    """

    kind: ClassVar[str] = "shortcut"

    from_: tuple[Reference, ...] = ()
    activation: Activation = "linear"
    weights_type: WeightsType = "none"
    weights_normalization: WeightsNormalization = "none"

    @property
    def num_inputs(self) -> int:
        """How many layers are added, the one in front included."""
        return 1 + len(self.from_)

    def references(self) -> tuple[Reference, ...]:
        return self.from_

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        return replace(self, from_=_move(self.from_, new_layer))


@dataclass(frozen=True, kw_only=True)
class ScaleChannels(Section):
    """`[scale_channels]`: the named layer times the one in front, one factor per channel (SE).

    With `scale_wh` the layer in front has one channel and gives one factor per pixel.
    """

    kind: ClassVar[str] = "scale_channels"

    from_: tuple[Reference, ...] = ()
    activation: Activation = "linear"
    scale_wh: bool = False

    def references(self) -> tuple[Reference, ...]:
        return self.from_

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        return replace(self, from_=_move(self.from_, new_layer))


@dataclass(frozen=True, kw_only=True)
class Sam(Section):
    """`[sam]`: the named layer times the one in front, element by element."""

    kind: ClassVar[str] = "sam"

    from_: tuple[Reference, ...] = ()
    activation: Activation = "linear"

    def references(self) -> tuple[Reference, ...]:
        return self.from_

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        return replace(self, from_=_move(self.from_, new_layer))


@dataclass(frozen=True, kw_only=True)
class Cbam(Section):
    """`[cbam]`: channel, then spatial attention (Woo 2018) on the layer in front. seyolo's own section.

    `hidden` is the width of the shared MLP, `size` the side of the spatial kernel in pixels.
    `join=scale` gives s·x, `join=add` gives x + s·x. `floor=1` stands where channels were cut: they were
    zero, so the maximum over the channels never falls below zero.
    """

    kind: ClassVar[str] = "cbam"

    hidden: Count = 16
    size: Count = 7
    join: Join = "scale"
    floor: bool = False


@dataclass(frozen=True, kw_only=True)
class Yolo(Section):
    """`[yolo]`: decodes anchors into boxes.

    `anchors` are (width, height) pairs in input pixels, `mask` picks this layer's. `scale_x_y` stretches the
    cell offset; with `new_coords` the numbers in front are already sigmoids and sizes are (2t)² · anchor.
    """

    kind: ClassVar[str] = "yolo"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """jitter ignore_thresh truth_thresh iou_thresh iou_thresh_kind random resize iou_loss iou_normalizer
        cls_normalizer obj_normalizer delta_normalizer max_delta beta_nms nms_kind max focal_loss
        label_smooth_eps counters_per_class objectness_smooth thresh map show_details total bias_match rescore
        coords softmax absolute object_scale noobject_scale class_scale coord_scale embedding_layer sim_thresh
        dets_for_track dets_for_show track_ciou_norm track_history_size truth_thresh_kind
        uc_normalizer beta1""".split()
    )

    mask: tuple[NotNegative, ...] = ()
    anchors: tuple[Positive, ...] = ()
    classes: Count = 20
    num: Count = 1
    scale_x_y: Positive = 1.0
    new_coords: bool = False

    @property
    def masked_anchors(self) -> tuple[tuple[float, float], ...]:
        """This layer's (width, height) anchors in input pixels."""
        mask = self.mask or tuple(range(self.num))
        return tuple((self.anchors[2 * m], self.anchors[2 * m + 1]) for m in mask)


@dataclass(frozen=True, kw_only=True)
class Region(Section):
    """`[region]`: YOLOv2's detections; classes exclude each other. `anchors` are (width, height) in cells."""

    kind: ClassVar[str] = "region"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """jitter resize rescore thresh absolute random coord_scale object_scale noobject_scale mask_scale
        class_scale bias_match focal_loss max classfix""".split()
    )
    neutral_values: ClassVar[dict[str, str]] = {"coords": "4", "log": "0", "sqrt": "0", "background": "0"}

    anchors: tuple[Positive, ...] = ()
    classes: Count = 20
    num: Count = 1
    softmax: bool = False

    @property
    def masked_anchors(self) -> tuple[tuple[float, float], ...]:
        """The (width, height) anchors in cells."""
        return tuple((self.anchors[2 * i], self.anchors[2 * i + 1]) for i in range(self.num))


Detection = Yolo | Region
"""The sections that put out detections."""

NOT_KEYS = frozenset(["extras", "comments", "notes", "line"])
"""Fields of a section that are not keys of the cfg."""
