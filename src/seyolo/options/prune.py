"""Options of `prune`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.budget import EXAMPLES, Budget, parse_budgets
from seyolo.options.cut import DEFAULT_CUT, CutOptions
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import REPEATABLE, Flag, Size, check_choice, check_device, check_size
from seyolo.options.slim import Repair
from seyolo.options.tile import TileOptions, check_tiles

PRUNE_BUDGET = f"what the result may cost: {EXAMPLES}. Latency holds as measured on this machine."


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class PruneOptions(ModelOptions, TileOptions):
    """Options of `prune`; raises UsageError and BackendError for values that make no sense."""

    budget: Annotated[tuple[str, ...], REPEATABLE, Parameter(help=PRUNE_BUDGET)] = ()

    plan: Path | None = None
    """prune by this plan instead; edit kept, removed and blocks_removed in it as you like."""

    dry_run: Flag = False
    """write the plan and nothing else; it shows what every group keeps, parameters and MACs, and latency
    where a budget limits it. With --plan, what an edited plan gives."""

    cut: CutOptions = DEFAULT_CUT
    """options of the plan."""

    keep_blocks: Flag = False
    """prune channels only; otherwise whole residual blocks may be removed."""

    repair: Repair = "reconstruct"
    """with --data, fit the kept kernels to what the dense network puts out (reconstruct), only measure batch
    normalisation anew (recalibrate), or leave the pruned network as it is (none)."""

    data: Path | None = None
    """a data set or a folder of images without labels; the images of train are those on which importance is
    measured, and those for the repair."""

    size: Size = None
    """input in pixels at which MACs count: 416, or 416x256 (width x height); by default the model's."""

    seed: int = 0
    """seed of random importance and of the choice of images."""

    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self)
        check_size(self)
        check_tiles(self)
        check_choice("--repair", self.repair, get_args(Repair))
        if self.plan is not None and self.decides_cut:
            advice = "leave out what decides it, --scope for one"
            raise UsageError(f"--plan {self.plan}: says already what is pruned; {advice}")
        if self.budget:
            parse_budgets(self.budget)

    @property
    def decides_cut(self) -> bool:
        """True where an option is set that a plan made before has decided."""
        return self.cut != DEFAULT_CUT or self.keep_blocks

    @property
    def measures_obs(self) -> bool:
        """True where images rank the channels by `obs`."""
        return self.cut.importance in (None, "obs")

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets, parsed; none where a plan is given."""
        return parse_budgets(self.budget) if self.budget else ()

    def plan_options(self) -> CutOptions:
        """Returns the options of the plan."""
        return replace(self.cut, blocks=self.cut.blocks and not self.keep_blocks)


def check_slim_ending(out: Path) -> None:
    """Raises UsageError for a file that `prune` does not write."""
    if out.suffix not in (".safetensors", ".cfg"):
        cfg = out.with_suffix(".cfg")
        advice = f"write {cfg}, then: seyolo export {cfg} {out}"
        raise UsageError(f"{out}: a slim model is written as .safetensors or .cfg; {advice}")
