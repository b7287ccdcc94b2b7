"""Options of `study`: what its networks differ in."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args

from cyclopts import Parameter, Token

from seyolo.darknet.placement import SITES, GateKind, Site
from seyolo.darknet.sections import Join
from seyolo.errors import UsageError
from seyolo.options.budget import parse_budgets
from seyolo.options.parameters import REPEATABLE, check_choice
from seyolo.options.slim import SlimOptions
from seyolo.options.training import MAX_SEED

NONE = "none"
"""The network without gates."""
GATES = (NONE, *get_args(GateKind))
VARIED = {"attention": "gates", "at": "places", "join": "joins", "budget": "budgets", "seed": "seeds"}
"""Options of `slim` that a study varies, and its own in their place."""
UNUSED = ("finetune", "controls")
"""Options of `slim` that a study refuses."""
JOINED = "+"  # between the limits of one budget


def _numbers(_: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    parts = [part for token in tokens for part in token.value.split(",") if part]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--seeds {' '.join(parts)}: give whole numbers, such as 0 1 2")
    return tuple(int(part) for part in parts)


def _words(_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(part for token in tokens for part in token.value.split(",") if part)


Words = Annotated[tuple[str, ...], REPEATABLE, Parameter(converter=_words)]


@Parameter(name="*", group="Study")
@dataclass(frozen=True)
class StudyOptions:
    """Differences between the networks of a study; several values follow one another, or stand behind commas.

    Raises UsageError for an unknown value and for one that stands twice.
    """

    gates: Words = (NONE, "se", "cbam")
    """gates to compare: none, se, cbam, eca, coordatt, simam [default: none, se, cbam]."""

    places: Words = ()
    """where they are attached: residual, stage, neck, head [default: all but stage that the network has]."""

    joins: Words = ("scale", "add")
    """scale for s·x, add for x + s·x [default: both]."""

    budgets: Words = ("macs=30%",)
    """budgets to slim to; + joins limits that hold together: macs=29%+params=18% [default: macs=30%]."""

    seeds: Annotated[tuple[int, ...], REPEATABLE, Parameter(converter=_numbers)] = (0, 1, 2)
    """seeds of everything random [default: 0, 1, 2]."""

    def __post_init__(self) -> None:
        choices = {"gates": GATES, "places": SITES, "joins": get_args(Join)}
        for name in VARIED.values():
            values = getattr(self, name)
            if not (values or name == "places") or len(set(values)) < len(values):
                raise UsageError(f"--{name} {' '.join(map(str, values))}: give at least one, and each once")
            for value in values if name in choices else ():
                check_choice(f"--{name}", value, choices[name])
        for budget in self.budgets:
            parse_budgets(budget.split(JOINED))
        if not all(0 <= seed <= MAX_SEED for seed in self.seeds):
            raise UsageError(f"--seeds {' '.join(map(str, self.seeds))}: from 0 to {MAX_SEED}")


Hidden = Parameter(show=False)


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class StudySettings(SlimOptions):
    """`SlimOptions` as the help of `study` shows them: without those that it varies or cannot use."""

    attention: Annotated[GateKind | None, Hidden] = None
    at: Annotated[tuple[Site, ...], Hidden, REPEATABLE] = ()
    join: Annotated[Join, Hidden] = "scale"
    budget: Annotated[tuple[str, ...], Hidden, REPEATABLE] = ("macs=30%",)
    seed: Annotated[int, Hidden] = 0
    finetune: Annotated[bool, Hidden] = True
    controls: Annotated[tuple[str, ...], Hidden, REPEATABLE] = ()

    epochs: int | None = None
    """epochs of every network, dense or slim [default: 30]."""

    def slim(self) -> SlimOptions:
        """Returns the options themselves."""
        return SlimOptions(**{field.name: getattr(self, field.name) for field in fields(self)})


def check_settings(options: SlimOptions) -> None:
    """Raises UsageError for options of `slim` that a study varies, or cannot use."""
    usual = SlimOptions()
    for name, own in VARIED.items():
        if getattr(options, name) != getattr(usual, name):
            raise UsageError(f"--{name}: a study varies it; give --{own}")
    if options.epochs == 0 or not options.finetune or options.controls:
        raise UsageError("--epochs 0, --no-finetune and --controls: a study trains every network alike")
