"""Training in several processes started by `torchrun`.

Process 0, the leader, runs the program, reads and writes the run's folder, and prints. The others wait for
functions that it calls on all processes (`Team.call`). DistributedDataParallel averages the gradients, over
NCCL between GPUs and over Gloo between CPUs; all other values are exchanged over Gloo.
"""

from __future__ import annotations

import gc
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seyolo.errors import TrainingError, UsageError

LONGEST_WAIT = timedelta(days=2)  # of the other processes while process 0 works alone, for instance times
STOPPED = 1

Item = TypeVar("Item")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


@dataclass(frozen=True)
class Team:
    """Processes that train together, seen from one of them; by default a single process."""

    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        return self.rank == 0

    def share_of(self, batch_size: int) -> int:
        """Returns the images of a batch per process; a UsageError refuses a batch that is no multiple."""
        if batch_size % self.size:
            near = max(self.size, batch_size - batch_size % self.size)
            raise UsageError(
                f"--batch {batch_size}: must be a multiple of {self.size}, because {self.size} processes "
                f"share each batch; use --batch {near}"
            )
        return batch_size // self.size

    def block_of(self, items: Sequence[Item], batch_size: int) -> Sequence[Item]:
        """Returns this process's part of a sequence: whole batches, in the order of the ranks."""
        num_batches = -(-len(items) // batch_size)
        first, end = (number * num_batches // self.size for number in (self.rank, self.rank + 1))
        return items[first * batch_size : end * batch_size]

    def device(self, name: str) -> torch.device:
        """Returns the device of this process; on `cuda` each process of a machine has its own GPU."""
        device = torch.device(name)
        if self.size == 1 or device.type != "cuda":
            return device
        if device.index is not None:
            raise UsageError(f"--device {name}: each of {self.size} processes has its own GPU; use cuda")
        index, num_gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if index >= num_gpus:
            raise UsageError(f"--device cuda: there are {num_gpus} GPUs here; start as many processes")
        torch.cuda.set_device(index)
        return torch.device("cuda", index)

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Wraps a module so that the backward pass averages gradients over all processes."""
        if self.size == 1:
            return module
        devices = [device] if device.type == "cuda" else None
        with warnings.catch_warnings():
            # PyTorch 2.13 has a new name for this, which older ones do not know.
            warnings.filterwarnings("ignore", message=".broadcast_buffers. is deprecated")
            # A static graph may have layers that no detection layer reads.
            return DistributedDataParallel(module, devices, broadcast_buffers=False, static_graph=True)

    def sum(self, value: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Returns the sum over all processes, without a gradient."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    @torch.no_grad()
    def average_(self, tensors: Sequence[Float[Tensor, "..."]]) -> None:
        """Replaces each tensor by its mean over all processes."""
        if self.size == 1 or not tensors:
            return
        means = self.sum(torch.cat([tensor.flatten() for tensor in tensors])) / self.size
        parts = torch.split(means, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, parts, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, value: Item) -> list[Item]:
        """Returns the values of all processes in rank order on process 0, an empty list on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.gather_object(value, values if self.is_leader else None)
        return values if self.is_leader else []

    def broadcast(self, value: Item) -> Item:
        """Returns process 0's value on every process."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Runs a function on the other processes; it must be picklable: a module-level function."""
        assert self.is_leader, "only process 0 calls functions on the others"
        self.broadcast((function, arguments))


SINGLE_PROCESS = Team()


class ComputedByLeader:
    """A function that runs on process 0 and returns its result on all; every process calls it in step."""

    def __init__(self, function: Callable[..., Any] | None) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return current_team().broadcast(self.function(*arguments) if self.function is not None else None)

    def __reduce__(self) -> tuple[Any, ...]:
        return ComputedByLeader, (None,)  # the other processes have no function


def current_team() -> Team:
    """Returns the team that this process has joined, or a team of one."""
    return Team(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Team()


def run_on_leader(run: Callable[[], Result]) -> Result:
    """Runs a program on process 0, which calls functions on the others; all return its result.

    Without `torchrun`, or inside such a program, `run` is called directly.

    Raises:
        TrainingError: on process 0, another process stopped.
        SystemExit: on another process, process 0 stopped and has printed the reason.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return run()
    has_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpus else "gloo", timeout=LONGEST_WAIT)
    team = current_team()
    lost = False
    try:
        if team.is_leader:
            result = run()
            team.broadcast((None, result))
        else:
            result = _follow(team)
    except RuntimeError as error:
        # Another process ended, for which Gloo has no error type.
        if not isinstance(error, dist.DistError) and "/gloo/" not in str(error):
            raise
        if not team.is_leader:
            raise SystemExit(STOPPED) from None
        lost = True
        traceback.clear_frames(error.__traceback__)
    dist.destroy_process_group()
    # DDP's reducer holds the connections in a reference cycle. Freed only at interpreter exit, they would
    # abort the process, since their threads are not joined there.
    gc.collect()
    if lost:
        raise TrainingError(
            "another process of this training stopped; see its own message. Finished epochs are kept: "
            "continue with --resume"
        )
    return result


def on_leader(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorates a function to run by `run_on_leader`."""

    @wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return run_on_leader(partial(function, *args, **kwargs))

    return run


def _follow(team: Team) -> Any:
    """Runs the functions that process 0 calls until its program ends; returns its result."""
    # Ctrl-C reaches every process: the leader stops at a safe point, and the others with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        function, arguments = team.broadcast(cast("Any", None))
        if function is None:
            return arguments
        function(*arguments)
