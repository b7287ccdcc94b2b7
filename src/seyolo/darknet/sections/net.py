"""`[net]`: the image that a network reads, and the settings of Darknet's training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from seyolo.darknet.sections.base import Count, Keys, Level


@dataclass(frozen=True, kw_only=True)
class Net(Keys):
    """`[net]`: the image the network reads.

    `pad_value` is a key of ours, which Darknet ignores: the grey level, 0 to 255, around a letterboxed image.
    """

    kind: ClassVar[str] = "net"
    aliases: ClassVar[tuple[str, ...]] = ("network",)
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """batch subdivisions momentum decay learning_rate learning_rate_min burn_in max_batches policy steps
        scales step scale gamma power angle saturation exposure hue aspect center mosaic mosaic_bound cutmix
        mixup blur gaussian_noise flip max_crop min_crop crop time_steps track augment_speed try_fix_nan
        optimized_memory workspace_size_limit_MB dynamic_minibatch sequential_subdivisions num_steps
        seq_scales ema_alpha use_cuda_graph loss_scale max_chart_loss adversarial_lr attention
        label_smooth_eps sgdr_cycle sgdr_mult reset adam B1 B2 eps weights_reject_freq equidistant_point
        badlabels_rejection_percentage num_sigmas_reject_badlabels unsupervised contrastive
        contrastive_jit_flip contrastive_color contrastive_neg_max show_receptive_field random classes
        init_sequential_subdivisions sequence max_ratio min_ratio clip notruth inputs""".split()
    )

    width: Count = 416
    height: Count = 416
    channels: Count = 3
    letter_box: bool = False
    pad_value: Level = 114.0

    @property
    def letterbox_mode(self) -> Literal["letterbox", "stretch"]:
        """The fit of an image to the input: padding that keeps the aspect ratio, or stretching."""
        return "letterbox" if self.letter_box else "stretch"

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return self.height, self.width

    @property
    def input_channels(self) -> int:
        """Channels of the input: 3 for colour, 1 for grey."""
        return self.channels

    def problems(self) -> Iterator[str]:
        if self.channels not in (1, 3):
            yield f"channels={self.channels}: an image has 3 channels (colour) or 1 (grey)"
