"""Options of a MODEL: its weights, the classes, and the attention to attach."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter

from seyolo.darknet.edit import USUAL_REDUCTION, WITHOUT_HIDDEN
from seyolo.darknet.placement import GateKind, Site
from seyolo.darknet.sections import Join
from seyolo.errors import UsageError
from seyolo.options.parameters import MODEL, REPEATABLE

GATES = " or ".join(", ".join(get_args(GateKind)).rsplit(", ", 1))


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """Options that may follow wherever MODEL stands; raises UsageError for attention without its kind."""

    weights: Annotated[Path | None, MODEL] = None
    """trained weights of a zoo name or a .cfg: a .weights file of Darknet or a checkpoint. Needed to
    run a zoo name, and a .cfg without .weights of its name beside it; training starts from new ones
    without."""

    num_classes: Annotated[int | None, MODEL] = None
    """number of classes; by default what the data or the model has."""

    names: Annotated[Path | None, MODEL] = None
    """a file with one name per class of MODEL, instead of those in it or in a .names file beside a .cfg."""

    attention: Annotated[GateKind | None, MODEL] = None
    """attach gates: Squeeze-and-Excitation, CBAM, ECA, Coordinate Attention or SimAM."""

    at: Annotated[tuple[Site, ...], MODEL, REPEATABLE] = ()
    """where to attach; may be given several times. By default the first the model has of residual, neck and
    head."""

    reduction: Annotated[int, MODEL] = USUAL_REDUCTION
    """a gate of se, cbam or coordatt squeezes to channels / reduction, and at least 8."""

    join: Annotated[Join, MODEL] = "scale"
    """scale gives s·x, add gives x + s·x."""

    def __post_init__(self) -> None:
        if self.attention is None and self.at:
            raise UsageError(f"--at names attention sites; choose the gates with --attention {GATES}")
        if self.attention is None and (self.reduction, self.join) != (USUAL_REDUCTION, "scale"):
            shaped = "--reduction and --join shape gates"
            raise UsageError(f"{shaped}; choose the gates with --attention {GATES}")
        if self.attention in WITHOUT_HIDDEN and self.reduction != USUAL_REDUCTION:
            raise UsageError(f"--reduction: {self.attention} gates have no hidden channels; leave it out")


NO_OPTIONS = ModelOptions()  # of a MODEL that is used as it is
