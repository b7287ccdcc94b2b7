"""The state of a training run in one safetensors file: weights, average, optimiser, sparsity, position.

No pickle: tensors under prefixed names, numbers in the metadata. Models themselves are `seyolo.checkpoint`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seyolo.errors import TrainingError
from seyolo.files import replacing

FORMAT = "seyolo-run"


@dataclass
class RunState:
    """What is needed to continue a run exactly.

    `tensors` holds named groups (model, average, optimiser, sparsity); `values` holds plain JSON values
    (epoch, best score, history).
    """

    tensors: dict[str, dict[str, Tensor]]
    values: dict[str, Any] = field(default_factory=dict)


def write_run_state(path: str | Path, state: RunState) -> None:
    """Writes the state in one step: an interrupted write leaves the old file."""
    flat = {
        f"{group}/{name}": tensor.detach().to("cpu").contiguous().clone()
        for group, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    with replacing(path) as temporary:
        save_file(flat, temporary, metadata={"format": FORMAT, "values": json.dumps(state.values)})


def read_run_state(path: str | Path) -> RunState:
    """Reads what `write_run_state` wrote.

    Raises:
        TrainingError: the file is missing, truncated or something else.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no run to resume here") from None
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path}: not a readable run state ({error}); start the run anew") from None
    if metadata.get("format") != FORMAT:
        raise TrainingError(f"{path}: not the state of a training run; name the run's folder")
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        group, _, rest = name.partition("/")
        tensors.setdefault(group, {})[rest] = tensor
    return RunState(tensors, json.loads(metadata["values"]))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments as named tensors, `parameter number/moment`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": value for index, moments in state.items() for name, value in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Gives `optimizer` back the moments that `optimizer_tensors` took from one like it."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, moment = name.partition("/")
        state.setdefault(int(index), {})[moment] = _laid_out_like(parameters[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The same numbers in the parameter's memory format: a fused step walks both as plain memory."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
