"""`[net]`: the image that a network reads, and the settings of Darknet's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from seyolo.darknet.sections.base import Count, Keys


@dataclass(frozen=True, kw_only=True)
class Net(Keys):
    """`[net]`: the image the network reads."""

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

    @property
    def letterbox_mode(self) -> Literal["letterbox", "stretch"]:
        """The fit of an image to the input: padding that keeps the aspect ratio, or stretching."""
        return "letterbox" if self.letter_box else "stretch"
