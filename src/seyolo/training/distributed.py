"""Training in several processes, as `torchrun` starts them: who does what, and what they tell one another.

Process 0 leads: it alone runs the program, reads and writes the run's folder, and prints. The others wait
until it calls for a function that all run together (`Team.call`), which training does. Gradients are averaged
by PyTorch's DistributedDataParallel, over NCCL between GPUs and over Gloo between CPUs; whatever else has to
be known to all goes over Gloo.
"""

from __future__ import annotations

import gc
import os
import signal
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

LONGEST_WAIT = timedelta(days=2)
"""How long the others wait while process 0 is busy alone, evaluating and timing for instance."""
STOPPED = 1

Item = TypeVar("Item")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


@dataclass(frozen=True)
class Team:
    """The processes that train together, seen from one of them; by default from one that is alone."""

    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def share_of(self, batch_size: int) -> int:
        """How many images of a batch each process takes.

        Raises:
            UsageError: they cannot be divided evenly.
        """
        if batch_size % self.size:
            near = max(self.size, batch_size - batch_size % self.size)
            raise UsageError(
                f"--batch {batch_size}: is divided among {self.size} processes, so it must be a multiple of "
                f"{self.size}; take {near}"
            )
        return batch_size // self.size

    def block_of(self, items: Sequence[Item], batch_size: int) -> Sequence[Item]:
        """This process's part of a sequence: blocks of whole batches, in the order of the ranks."""
        num_batches = -(-len(items) // batch_size)
        first, end = (number * num_batches // self.size for number in (self.rank, self.rank + 1))
        return items[first * batch_size : end * batch_size]

    def device(self, name: str) -> torch.device:
        """The device of this process; on `cuda` each process of a machine has a GPU of its own.

        Raises:
            UsageError: one GPU is named for all, or there are fewer GPUs than processes.
        """
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
        """The module with its gradients averaged over all processes in the backward pass."""
        if self.size == 1:
            return module
        devices = [device] if device.type == "cuda" else None
        with warnings.catch_warnings():
            # PyTorch 2.13 has a new name for this, which older ones do not know.
            warnings.filterwarnings("ignore", message=".broadcast_buffers. is deprecated")
            # A static graph may have layers that no detection layer reads.
            return DistributedDataParallel(module, devices, broadcast_buffers=False, static_graph=True)

    def sum(self, value: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The sum over all processes, without a gradient."""
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
        """The values of all processes in order, on process 0; on others an empty list."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.gather_object(value, values if self.is_leader else None)
        return values if self.is_leader else []

    def broadcast(self, value: Item) -> Item:
        """Process 0's value, on every process."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """On process 0: has the others run a function, too; it must be one of a module."""
        assert self.is_leader, "another process waits for calls, it makes none"
        self.broadcast((function, arguments))


ALONE = Team()


class Led:
    """A function that process 0 computes for all, each call at the same point of every process."""

    def __init__(self, function: Callable[..., Any] | None, team: Team) -> None:
        self.function = function
        self.team = team

    def __call__(self, *arguments: Any) -> Any:
        return self.team.broadcast(self.function(*arguments) if self.function is not None else None)

    def __reduce__(self) -> tuple[Any, ...]:
        return _led_by_other, ()


def _led_by_other() -> Led:
    return Led(None, current_team())


def current_team() -> Team:
    """The team this process has joined, or itself alone."""
    return Team(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Team()


def share(run: Callable[[], Result]) -> Result:
    """Runs a program on process 0 with the others' help, and gives its result to all.

    Without `torchrun`, or within such a program, it is simply run.

    Raises:
        TrainingError: on process 0, when another process stopped.
        SystemExit: on another one, when process 0 did; it has said why.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return run()
    has_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpus else "gloo", timeout=LONGEST_WAIT)
    team = current_team()
    try:
        result = _lead(team, run) if team.is_leader else _follow(team)
    except RuntimeError as error:
        if not _tells_of_lost_process(error):
            raise
        if not team.is_leader:
            raise SystemExit(STOPPED) from None
        raise TrainingError(
            "another process of this training stopped; its own message says why. Finished epochs are kept: "
            "go on with --resume"
        ) from None
    dist.destroy_process_group()
    # What still holds the connections in a cycle (DDP's reducer does) would take them down with the
    # interpreter, where their threads are not joined, and abort a process that is done.
    gc.collect()
    return cast("Result", result)


def shared(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function as a program of `share`."""

    @wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return share(partial(function, *args, **kwargs))

    return run


def _lead(team: Team, run: Callable[[], Result]) -> Result:
    result = run()
    team.broadcast((None, result))
    return result


def _follow(team: Team) -> Any:
    """Runs what process 0 calls for until its program ends; its result."""
    # Ctrl-C reaches every process: the leader ends at a point where it can, and the others with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        function, arguments = team.broadcast(cast("Any", None))
        if function is None:
            return arguments
        function(*arguments)


def _tells_of_lost_process(error: RuntimeError) -> bool:
    """Whether the error is that of a collective whose other end is gone; Gloo has no type for it."""
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)
