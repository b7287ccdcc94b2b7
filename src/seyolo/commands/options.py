"""Options that several verbs share, as frozen dataclasses that the command line flattens into flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from cyclopts import Parameter

import seyolo
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import attach
from seyolo.darknet.zoo import is_zoo_name
from seyolo.errors import UsageError
from seyolo.opening.description import attention_places
from seyolo.runtime.protocol import Backend
from seyolo.verbs import benchmark as comparison

AttentionKind = Literal["se", "cbam"]
AttentionPlace = Literal["residual", "stage", "neck", "head"]
SlimSparsity = Literal["group", "steered", "proximal", "l1"]
Repeatable = Parameter(negative=(), consume_multiple=True, show_default=False)
"""For options that take several values, after one another or each behind its own flag."""

Json = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]
"""A file for the results as JSON; `-` is stdout, which then carries nothing else."""


class ModelKeywords(TypedDict):
    """`ModelOptions` as keyword arguments."""

    weights: Path | None
    num_classes: int | None
    attention: AttentionKind | None
    at: tuple[AttentionPlace, ...]
    reduction: int
    join: Literal["scale", "add"]


@Parameter(name="*", group="Model")
@dataclass(frozen=True)
class ModelOptions:
    """What may follow wherever MODEL stands.

    Attributes:
        weights: Darknet weights or a checkpoint to start from.
        num_classes: number of classes; by default what the data or the model has.
        attention: attach Squeeze-and-Excitation or CBAM gates.
        at: where to attach; may be given several times. By default the first
            the model has of residual, neck and head.
        reduction: a gate squeezes to channels / reduction.
        join: scale gives s·x, add gives x + s·x.
    """

    weights: Path | None = None
    num_classes: int | None = None
    attention: AttentionKind | None = None
    at: Annotated[tuple[AttentionPlace, ...], Repeatable] = ()
    reduction: int = 16
    join: Literal["scale", "add"] = "scale"

    def as_keywords(self) -> ModelKeywords:
        """The options as keyword arguments of the functions that open models."""
        return {
            "weights": self.weights,
            "num_classes": self.num_classes,
            "attention": self.attention,
            "at": self.at,
            "reduction": self.reduction,
            "join": self.join,
        }

    def attached(self, network: Network) -> Network:
        """The description with the gates asked for.

        Raises:
            UsageError: a place without a kind.
            ModelError: a place the network does not have.
        """
        places = attention_places(network, self.attention, self.at, self.reduction, self.join)
        if self.attention is None:
            return network
        return attach(network, self.attention, places, self.reduction, self.join).network


@Parameter(name="*", group="Run")
@dataclass(frozen=True)
class RunOptions:
    """What every training verb takes.

    Attributes:
        batch: images per step, in all processes together.
        lr: peak learning rate.
        seed: of everything random.
        device: cpu, cuda or cuda:N.
        name: the run's folder is runs/VERB/NAME; by default the verb, numbered when taken.
        sync_bn: where torchrun starts several processes, normalise by the statistics of all their images.
        resume: go on with the run in this folder; its settings are kept, other options are not needed.
        tracker: follow training in TensorBoard, too: tensorboard --logdir runs.
    """

    batch: int = 16
    lr: float = 1.5e-3
    seed: int = 0
    device: str = "cpu"
    name: str | None = None
    sync_bn: Annotated[bool, Parameter(negative=())] = False
    resume: Path | None = None
    tracker: Literal["tensorboard"] | None = None


class SparsityKeywords(TypedDict):
    """`SparsityOptions` as keyword arguments."""

    sparsity: SlimSparsity
    strength: float | None
    schedule: Literal["constant", "decay"]
    scales_rate: float | None
    rounds: int


@Parameter(name="*", group="Sparsity training")
@dataclass(frozen=True)
class SparsityOptions:
    """How sparsity training makes a network ready for the cut.

    Attributes:
        sparsity: group (tied channels together), proximal and l1 (as published) push every scale towards
            zero; steered fades what the budget leaves out.
        s: strength [default: group and proximal move a scale by half of where it starts from, however many
            steps there are; 0.2 steered, 0.01 l1].
        schedule: of the strength unless steered: constant, or decay linearly to zero.
        scales_rate: learning rate of the scales as a multiple of that of kernels; 10 lets them move apart
            [default: 10 for group and proximal, else 1].
        rounds: in how many steps steered training tightens the budget.
    """

    sparsity: SlimSparsity = "group"
    s: float | None = None
    schedule: Literal["constant", "decay"] = "constant"
    scales_rate: float | None = None
    rounds: int = 1

    def as_keywords(self) -> SparsityKeywords:
        """The options as keyword arguments of `seyolo.slim`."""
        return {
            "sparsity": self.sparsity,
            "strength": self.s,
            "schedule": self.schedule,
            "scales_rate": self.scales_rate,
            "rounds": self.rounds,
        }


@Parameter(name="*", group="Plan")
@dataclass(frozen=True)
class PlanChoices:
    """What a plan decides by, besides the budget.

    Attributes:
        scope: all, or plain for convolutions that no shortcut touches, as the published cut does.
        multiple: kept channels are multiples of this [default: 8, and 16 in groups of 128 and more].
        least_share: every group of channels keeps at least this share, from 0 to 1.
        evenness: the larger, the more all groups narrow alike; with 0 importance alone decides [default: 2
            for obs; else 0 where a quarter of the MACs stays, 0.5 from 15 % on, 1 below].
        keep: layers whose channels all stay, by their numbers in seyolo info, as in 12,16; may be given
            several times.
        importance: which channels stay: those without which the outputs change most on training images,
            for what they cost (obs), or with large batch-normalisation scales (bn), kernels (norm), both over
            all that is tied (group), effect on the loss on training images (taylor); uniform and random
            are controls [default: obs with --data, but bn where channels fade (steered); else bn].
    """

    scope: Literal["all", "plain"] = "all"
    multiple: int | None = None
    least_share: float = 0.0
    evenness: float | None = None
    keep: Annotated[tuple[str, ...], Repeatable] = ()
    importance: Literal["obs", "bn", "norm", "group", "taylor", "uniform", "random"] | None = None

    def as_options(self, *, blocks: bool) -> seyolo.api.PlanOptions:
        """The choices as the functions that plan take them; `blocks`: residual blocks may go as a whole."""
        return seyolo.api.PlanOptions(
            scope=self.scope,
            multiple=self.multiple,
            least_share=self.least_share,
            evenness=self.evenness,
            keep=_layers(self.keep),
            blocks=blocks,
            method=self.importance,
        )


def _layers(texts: tuple[str, ...]) -> tuple[int, ...]:
    """Layer numbers from texts such as `12,16`."""
    numbers = [number.strip() for text in texts for number in text.split(",") if number.strip()]
    for number in numbers:
        if not number.isdecimal():
            raise UsageError(f"--keep {number}: layers are named by their numbers, as in --keep 12,16")
    return tuple(map(int, numbers))


MODEL_DEFAULTS = ModelOptions()
RUN_DEFAULTS = RunOptions()
SPARSITY_DEFAULTS = SparsityOptions()
PLAN_DEFAULTS = PlanChoices()


def options_for(model: str, options: ModelOptions) -> ModelOptions:
    """Among several models the options mean those that are not complete in themselves."""
    return options if is_zoo_name(model) or model.endswith(".cfg") else MODEL_DEFAULTS


def open_detector(
    model: str,
    options: ModelOptions,
    *,
    device: str,
    threads: int | None = None,
    random: bool = False,
) -> Backend:
    """A MODEL with its options, ready to run."""
    return comparison.open_detector(
        model, device=device, threads=threads, random=random, **options.as_keywords()
    )
