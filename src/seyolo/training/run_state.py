"""State of a running training in one safetensors file: tensors and record, enough to resume exactly.

Tensors are named `group/name`, the record is JSON in the metadata; nothing is pickled. Models themselves are
in `seyolo.checkpoint`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seyolo.errors import TrainingError
from seyolo.files import replacing
from seyolo.training.run_record import RunRecord

FORMAT = "seyolo-run"


@dataclass
class RunState:
    """State of a run after an epoch.

    Attributes:
        tensors: by group (model, average, optimizer, sparsity) and name.
        record: figures of the finished epochs.
    """

    tensors: dict[str, dict[str, Tensor]]
    record: RunRecord


def write_run_state(path: str | Path, state: RunState) -> None:
    """Writes the state in one step: an interrupted write leaves the old file."""
    flat = {
        f"{group}/{name}": tensor.detach().to("cpu").contiguous().clone()
        for group, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    with replacing(path) as temporary:
        save_file(flat, temporary, metadata={"format": FORMAT, "values": json.dumps(asdict(state.record))})


def read_run_state(path: str | Path) -> RunState:
    """Reads a file of `write_run_state`.

    Raises:
        TrainingError: the file is missing, truncated or of another kind.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no run to resume here") from None
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path}: not a readable run state ({error}); start a new run") from None
    if metadata.get("format") != FORMAT:
        raise TrainingError(f"{path}: not the state of a training run; name the run's folder")
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        group, _, rest = name.partition("/")
        tensors.setdefault(group, {})[rest] = tensor
    try:
        return RunState(tensors, msgspec.convert(json.loads(metadata["values"]), RunRecord))
    except (msgspec.ValidationError, ValueError, KeyError) as error:
        raise TrainingError(f"{path}: not a readable run state ({error}); start a new run") from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the optimiser's moments as `parameter number/moment`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": value for index, moments in state.items() for name, value in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Loads the moments that `optimizer_tensors` returned for an optimiser of the same parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, moment = name.partition("/")
        state.setdefault(int(index), {})[moment] = _in_memory_format_of(parameters[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _in_memory_format_of(parameter: Tensor, value: Tensor) -> Tensor:
    """Copies a moment into the parameter's memory format: a fused step reads both as plain memory."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
