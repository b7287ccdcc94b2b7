"""Attachment of attention to a trained model: the gates start at the identity.

A fresh gate has a zero last kernel, so it multiplies its features by one constant whatever the image. That
constant is taken out of a neighbour's weights wherever a linear path allows it, and is close to 1 elsewhere:

exact, in front    the gated layer is a convolution behind which a factor commutes with the activation, and
                   only the gate reads it: its scale and bias take 1 / constant
exact, behind      every path from the gate ends, over routes, pools and upsampling, in convolutions: the
                   kernels take 1 / constant on the channels that come from the gate. A path may pass
                   other fresh gates, which are constant too
close, elsewhere   a bias opens (`scale`) or closes (`add`) the gate almost fully

So it is for SE and CBAM. `[eca]` and `[coordatt]` take the constant out by their `gain`, exactly everywhere;
that of `[simam]` brings trained networks as close as a constant can: SimAM has no parameters, so it is never
constant. On blood cells AP fell from .374 to .359 at `neck` and .298 at `stage`, with `add` to .369 and .365.

Squeeze-and-Excitation: Hu et al., CVPR 2018. CBAM: Woo et al., ECCV 2018. ECA: Wang et al., CVPR 2020.
CoordAtt: Hou et al., CVPR 2021. SimAM: Yang et al., ICML 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from seyolo.darknet import edit, graph
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import FRESH_FACTORS, USUAL_REDUCTION, WITHOUT_HIDDEN, Attached, Gate
from seyolo.darknet.placement import SITES, GateKind, default_site
from seyolo.darknet.sections import AvgPool, Convolutional, Dropout, Join, MaxPool, OwnGate, Route, Upsample
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
    at: str | Sequence[str] | None = None,
    *,
    reduction: int = USUAL_REDUCTION,
    join: Join = "scale",
    generator: torch.Generator | None = None,
) -> DarknetModel:
    """Returns a new model with attention gates, whose output starts where that of `model` is.

    Args:
        model: stays as it is.
        kind: `se`, `cbam`, `eca`, `coordatt` or `simam`.
        at: one or several of `residual`, `stage`, `neck`, `head`; by default the first that the network has
            of residual, neck and head.
        reduction: the squeezed width is channels / reduction; `eca` and `simam` have none.
        join: `scale` gives s·x, `add` gives x + s·x.
        generator: for the random kernels inside the gates.

    Raises:
        ModelError: an option that does not exist, or a site the network does not have.

    Example:
        >>> model = seyolo.load("yolov3-tiny@0.25", num_classes=1)
        >>> seyolo.attach(model, "se").provenance["attention"]
        {'kind': 'se', 'at': ['neck'], 'join': 'scale', 'reduction': 16}
    """
    sites = default_site(model.network, kind) if at is None else at
    attached = edit.attach(model.network, kind, sites, reduction, join)
    gated = build(attached.network, model.names, generator).to(next(model.parameters()).device)
    moved = edit.moved_state(model.state_dict(), attached.layer_map)
    gated.load_state_dict(start_at_identity(attached, gated.state_dict() | moved))
    used = {gate.site for gate in attached.gates}
    attention: dict[str, object] = {
        "kind": kind,
        "at": [site for site in SITES if site in used],
        "join": join,
    }
    if kind not in WITHOUT_HIDDEN:
        attention["reduction"] = reduction
    gated.provenance = {**model.provenance, "attention": attention}
    return gated.train(model.training)


@torch.no_grad()
def start_at_identity(attached: Attached, state: Mapping[str, Tensor]) -> State:
    """Returns the state with every attached gate at the identity; the tensors of `state` stay as they are."""
    result = dict(state)
    for gate in attached.gates:
        if isinstance(attached.network.layers[gate.output], OwnGate):
            continue  # constant from the start, but SimAM, and its gain takes the constant out
        _close_kernels(result, gate)
        constant = FRESH_FACTORS[gate.kind] + (gate.join == "add")
        front = attached.network.layers[gate.source]
        if isinstance(front, Convolutional) and _is_absorbed_in_front(attached.network, front, gate):
            module = "bn" if front.batch_normalize else "conv"
            for name in (f"layers.{gate.source}.{module}.weight", f"layers.{gate.source}.{module}.bias"):
                result[name] = result[name] * (1 / constant)
        elif (slices := _absorbers_behind(attached, gate.output)) is not None:
            for layer, channels in slices:
                name = f"layers.{layer}.conv.weight"
                result[name] = result[name].clone()
                result[name][:, channels] *= 1 / constant
        else:
            _approach_identity(result, gate)
    return result


def _last_layer(gate: Gate) -> str:
    return f"layers.{gate.output}.excite" if gate.excite is None else f"layers.{gate.excite}.conv"


def _close_kernels(state: State, gate: Gate) -> None:
    spatial = [f"layers.{gate.output}.spatial.weight"] if gate.kind == "cbam" else []
    for name in (f"{_last_layer(gate)}.weight", f"{_last_layer(gate)}.bias", *spatial):
        state[name] = torch.zeros_like(state[name])


def _approach_identity(state: State, gate: Gate) -> None:
    logit = NEARLY_OPEN_LOGIT if gate.join == "scale" else -NEARLY_OPEN_LOGIT
    bias = f"{_last_layer(gate)}.bias"
    # CBAM adds the MLP's answers to the mean and to the maximum, so its bias counts twice.
    state[bias] = torch.full_like(state[bias], logit / 2 if gate.kind == "cbam" else logit)
    if gate.kind == "cbam" and gate.join == "scale":
        kernel = f"layers.{gate.output}.spatial.weight"
        centre = state[kernel].shape[-1] // 2
        state[kernel][0, 1, centre, centre] = OPENING_KERNEL


def _is_absorbed_in_front(network: Network, section: Convolutional, gate: Gate) -> bool:
    own_layers = range(gate.source + 1, gate.output + 1)
    is_only_reader = all(reader in own_layers for reader in graph.consumers(network)[gate.source])
    return is_only_reader and section.activation in HOMOGENEOUS_ACTIVATIONS


def _absorbers_behind(attached: Attached, layer: int) -> list[tuple[int, slice]] | None:
    """Returns the convolutions at the end of all paths from `layer`, with the input channels it feeds.

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
    """Returns where the channels of `source` start in the concatenation; several when it is named twice."""
    widths, layers = graph.channels(network), graph.inputs(network)[route]
    starts = accumulate((widths[layer] for layer in layers), initial=0)
    return [start for layer, start in zip(layers, starts, strict=False) if layer == source]
