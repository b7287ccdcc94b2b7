"""Attaching attention to a model whose weights are worth keeping: the gates start at the identity.

A fresh gate has a zero last kernel, so it multiplies its features by one constant whatever the image. That
constant is taken out of a neighbour's weights wherever a linear path allows it, and is close to 1 elsewhere:

exact, in front    the gated layer is a convolution behind which a factor commutes with the activation, and
                   only the gate reads it: its scale and bias take 1 / constant
exact, behind      every path from the gate ends, over routes, pools and upsampling, in convolutions: the
                   kernels take 1 / constant on the channels that come from the gate. A path may pass
                   other fresh gates, which are constant too
close, elsewhere   a bias opens (`scale`) or closes (`add`) the gate almost fully

Squeeze-and-Excitation: Hu et al., CVPR 2018. CBAM: Woo et al., ECCV 2018.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seyolo.darknet import edit, graph
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import Attached, Gate
from seyolo.darknet.placement import SITES, GateKind
from seyolo.darknet.sections import AvgPool, Convolutional, Dropout, Join, MaxPool, Route, Upsample
from seyolo.torchnet.build import DarknetModel, build

HOMOGENEOUS_ACTIVATIONS = frozenset(["linear", "leaky", "relu"])
"""f(a·x) = a·f(x) for every a > 0."""
NEARLY_OPEN_LOGIT = 4.0
"""sigmoid(4) = 0.982: close to open, and the gradient of the gate is still 7 % of its largest."""
OPENING_KERNEL = 8.0
"""Weight on the channel maximum: opens CBAM's spatial gate, which has no bias, where a channel responds."""

State = dict[str, Tensor]


def attach(
    model: DarknetModel,
    kind: GateKind,
    at: str | Sequence[str] = "residual",
    *,
    reduction: int = 16,
    join: Join = "scale",
    generator: torch.Generator | None = None,
) -> DarknetModel:
    """A new model with attention gates whose output starts where that of `model` is.

    Args:
        model: stays as it is.
        kind: `se` or `cbam`.
        at: one or several of `residual`, `stage`, `neck`, `head`.
        reduction: the squeezed width is channels / reduction.
        join: `scale` gives s·x, `add` gives x + s·x.
        generator: for the random kernels inside the gates.

    Raises:
        ModelError: an option that does not exist, or a site the network does not have.
    """
    attached = edit.attach(model.network, kind, at, reduction, join)
    gated = build(attached.network, model.names, generator).to(next(model.parameters()).device)
    moved = edit.moved_state(model.state_dict(), attached.layer_map)
    gated.load_state_dict(start_at_identity(attached, gated.state_dict() | moved))
    gated.provenance = {**model.provenance, "attention": _describe(attached, reduction)}
    return gated.train(model.training)


def _describe(attached: Attached, reduction: int) -> dict[str, object]:
    first = attached.gates[0]
    used = {gate.site for gate in attached.gates}
    sites = [site for site in SITES if site in used]
    return {"kind": first.kind, "at": sites, "join": first.join, "reduction": reduction}


@torch.no_grad()
def start_at_identity(attached: Attached, state: Mapping[str, Tensor]) -> State:
    """The state with every attached gate at the identity; `state` and its tensors stay as they are."""
    result = dict(state)
    for gate in attached.gates:
        _close_kernels(result, gate)
        constant = _gate_value(gate, 0.0)
        if _is_absorbed_in_front(attached.network, gate):
            _multiply_outputs(result, attached.network, gate.source, 1 / constant)
        elif (slices := _absorbers_behind(attached, gate.output)) is not None:
            for layer, channels in slices:
                _multiply_inputs(result, layer, channels, 1 / constant)
        else:
            _approach_identity(result, gate)
    return result


def _gate_value(gate: Gate, logit: float) -> float:
    """What a gate with zero kernels multiplies by; `logit` is its channel gate's."""
    channel_gate = 1 / (1 + math.exp(-logit))
    factor = channel_gate * 0.5 if gate.kind == "cbam" else channel_gate
    return 1 + factor if gate.join == "add" else factor


def _last_layer(gate: Gate) -> str:
    return f"layers.{gate.excite}.conv" if gate.cbam is None else f"layers.{gate.cbam}.excite"


def _close_kernels(state: State, gate: Gate) -> None:
    names = [f"{_last_layer(gate)}.weight", f"{_last_layer(gate)}.bias"]
    if gate.cbam is not None:
        names.append(f"layers.{gate.cbam}.spatial.weight")
    for name in names:
        state[name] = torch.zeros_like(state[name])


def _approach_identity(state: State, gate: Gate) -> None:
    logit = NEARLY_OPEN_LOGIT if gate.join == "scale" else -NEARLY_OPEN_LOGIT
    bias = f"{_last_layer(gate)}.bias"
    # CBAM adds the MLP's answers to the mean and to the maximum, so its bias counts twice.
    state[bias] = torch.full_like(state[bias], logit if gate.cbam is None else logit / 2)
    if gate.cbam is not None and gate.join == "scale":
        kernel = f"layers.{gate.cbam}.spatial.weight"
        centre = state[kernel].shape[-1] // 2
        state[kernel][0, 1, centre, centre] = OPENING_KERNEL


def _is_absorbed_in_front(network: Network, gate: Gate) -> bool:
    section = network.layers[gate.source]
    own_layers = range(gate.source + 1, gate.output + 1)
    return (
        isinstance(section, Convolutional)
        and section.activation in HOMOGENEOUS_ACTIVATIONS
        and all(reader in own_layers for reader in graph.consumers(network)[gate.source])
    )


def _multiply_outputs(state: State, network: Network, layer: int, factor: float) -> None:
    section = network.layers[layer]
    assert isinstance(section, Convolutional)
    module = "bn" if section.batch_normalize else "conv"
    for name in (f"layers.{layer}.{module}.weight", f"layers.{layer}.{module}.bias"):
        state[name] = state[name] * factor


def _multiply_inputs(state: State, layer: int, channels: slice, factor: float) -> None:
    name = f"layers.{layer}.conv.weight"
    state[name] = state[name].clone()
    state[name][:, channels] *= factor


def _absorbers_behind(attached: Attached, layer: int) -> list[tuple[int, slice]] | None:
    """The convolutions that all paths from `layer` end in, with the input channels it arrives on.

    None when a path ends elsewhere: in an addition, a gate, a detection or a grouped convolution's part.
    """
    network = attached.network
    gates = {gate.source: gate for gate in attached.gates}
    found: list[tuple[int, slice]] = []
    readers = graph.consumers(network)
    width = graph.channels(network)[layer]
    pending = [(layer, 0)]
    while pending:
        current, offset = pending.pop()
        own_layers: range | tuple[()] = ()
        if current in gates:
            own_layers = range(current + 1, gates[current].output + 1)
            pending.append((gates[current].output, offset))
        for reader in readers[current]:
            if reader in own_layers:
                continue
            section = network.layers[reader]
            if isinstance(section, Convolutional) and section.groups == 1:
                found.append((reader, slice(offset, offset + width)))
            elif isinstance(section, Route) and section.groups == 1:
                pending += [(reader, start + offset) for start in _offsets(network, reader, current)]
            elif isinstance(section, MaxPool | AvgPool | Upsample | Dropout):
                pending.append((reader, offset))
            else:
                return None
    return found


def _offsets(network: Network, route: int, source: int) -> list[int]:
    """Where the channels of `source` start in the concatenation; several when it is named twice."""
    widths, start, starts = graph.channels(network), 0, []
    for layer in graph.inputs(network)[route]:
        if layer == source:
            starts.append(start)
        start += widths[layer]
    return starts
