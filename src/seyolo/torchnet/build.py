"""A network description as a torch module: `build`, `from_checkpoint` and `to_checkpoint`.

The module is never edited: to change a network, change its `Network` and build again. State names are those
of `darknet.weights.tensor_shapes`.

Shape letters: N images, H and W pixels or cells, A anchors of a `[yolo]`, C classes, P predictions of all.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from seyolo.checkpoint import Checkpoint
from seyolo.class_names import default_names
from seyolo.darknet import graph
from seyolo.darknet.cfg import Network
from seyolo.darknet.constants import LEAKY_SLOPE
from seyolo.darknet.sections import ScaleChannels
from seyolo.darknet.weights import tensor_shapes
from seyolo.errors import ModelError, UsageError, counted
from seyolo.torchnet.head import YoloHead
from seyolo.torchnet.layers import CbamLayer, ConvolutionLayer, GateLayer, make_layer

OBJECTNESS_PRIOR = 0.01
"""Share of predictions that start out as objects: without it the first steps only unlearn false boxes."""
HEAD_STANDARD_DEVIATION = 0.01


class DarknetModel(nn.Module):
    """A detector: images in, boxes with scores out.

    Make it with `build` or `from_checkpoint`; the bare constructor leaves convolution kernels unfilled.

    Attributes:
        network: the description it was built from.
        names: one name per class.
        provenance: where the weights come from, as JSON values.
        layers: one module per section, indexed as in the cfg.

    Raises:
        CfgError: the description cannot be wired or has no `[yolo]` layer.
        ModelError: `names` are not as many as the classes.
    """

    def __init__(
        self,
        network: Network,
        names: Sequence[str] | None = None,
        provenance: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        num_classes = graph.num_classes(network)
        self.network = network
        self.names = default_names(num_classes) if names is None else tuple(names)
        if len(self.names) != num_classes:
            raise ModelError(
                f"{counted(len(self.names), 'name')} for {counted(num_classes, 'class')}: "
                "give one name per class"
            )
        self.provenance: dict[str, object] = dict(provenance or {})
        tensor_shapes(network)  # refuses a network that is too large before anything is allocated
        self._inputs = graph.inputs(network)
        widths = (*graph.channels(network), network.net.channels)  # [-1] is the image
        self.layers = nn.ModuleList(
            make_layer(section, [widths[source] for source in sources])
            for section, sources in zip(network.layers, self._inputs, strict=True)
        )
        self._unread_after = _unread_after(self._inputs)
        self._step = graph.max_stride(network)

    def __repr__(self) -> str:
        net, classes = self.network.net, ", ".join(self.names[:3]) + (", …" if len(self.names) > 3 else "")
        size = f"{net.width}x{net.height} px, {counted(len(self.layers), 'layer')}"
        params = sum(parameter.numel() for parameter in self.parameters())
        return f"<DarknetModel: {self.network.source}, {size}, {params:,} parameters, finds {classes}>"

    @property
    def heads(self) -> list[YoloHead]:
        """The detection layers in order."""
        return [layer for layer in self.layers if isinstance(layer, YoloHead)]

    if TYPE_CHECKING:  # PyTorch says that calling a module gives anything

        def __call__(self, images: Float[Tensor, "N 3 H W"]) -> Float32[Tensor, "N P 5+C"]: ...

    def forward(self, images: Float[Tensor, "N 3 H W"]) -> Float32[Tensor, "N P 5+C"]:
        """Returns the decoded predictions.

        Args:
            images: RGB in [0, 1]; H and W multiples of the network's largest stride.

        Returns:
            cx, cy, w, h in input pixels, objectness and class probabilities, in the order of the detection
            layers, inside one row-major cells with anchors innermost.

        Raises:
            UsageError: not a batch of images, or a side that is no multiple of the largest stride.
        """
        channels = self.network.net.channels
        if images.ndim != 4 or images.shape[1] != channels or any(s % self._step for s in images.shape[2:]):
            expected = f"(N, {channels}, H, W) with H and W multiples of {self._step}"
            raise UsageError(f"images must have shape {expected}, got {tuple(images.shape)}")
        height, width = images.shape[2:]
        decoded = [
            head.decode(logits, (height / logits.shape[1], width / logits.shape[2]))
            for head, logits in zip(self.heads, self.forward_heads(images), strict=True)
        ]
        return torch.cat(decoded, dim=1)

    def forward_heads(self, images: Float[Tensor, "N 3 H W"]) -> list[Float[Tensor, "N H W A 5+C"]]:
        """Returns the undecoded predictions of each detection layer: tx, ty, tw, th, objectness, classes."""
        outputs: dict[int, Tensor] = {graph.IMAGE: images}
        heads: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            output = layer(*(outputs[source] for source in self._inputs[index]))
            if isinstance(layer, YoloHead):
                heads.append(output)
            else:
                outputs[index] = output
            for source in self._unread_after[index]:
                outputs.pop(source, None)
        return heads

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads like torch's own, also plain dicts, which carry no version marks of the modules."""
        versioned = OrderedDict(state_dict)
        # Without marks torch takes the state for one of before batch counting and adds counters to it.
        versioned._metadata = self.state_dict()._metadata  # type: ignore[attr-defined]
        return super().load_state_dict(versioned, strict, assign)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Fills every tensor: Kaiming normal kernels, detection priors, gates that start constant."""
        for module in self.layers.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=LEAKY_SLOPE, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif next(module.parameters(recurse=False), None) is not None:
                module.reset_parameters()  # type: ignore[operator]
        for convolution, head in self.head_convolutions():
            _fill_head(convolution, head, generator)
        for kernel in self._last_kernels():
            nn.init.zeros_(kernel)

    def head_convolutions(self) -> Iterator[tuple[nn.Conv2d, YoloHead]]:
        """Yields the convolution in front of each detection layer, and that layer."""
        for index, head in enumerate(self.layers):
            if isinstance(head, YoloHead) and (front := self._biased_in_front(index)) is not None:
                yield front, head

    def _last_kernels(self) -> Iterator[Tensor]:
        """Yields the last kernels of every gate: where they are zero, a gate is constant."""
        for index, (section, layer) in enumerate(zip(self.network.layers, self.layers, strict=True)):
            if isinstance(layer, CbamLayer | GateLayer):
                yield from layer.last_kernels()
            elif isinstance(section, ScaleChannels) and (front := self._biased_in_front(index)) is not None:
                yield front.weight

    def _biased_in_front(self, index: int) -> nn.Conv2d | None:
        front = self.layers[self._inputs[index][0]]
        return front.conv if isinstance(front, ConvolutionLayer) and front.conv.bias is not None else None


def build(
    network: Network, names: Sequence[str] | None = None, generator: torch.Generator | None = None
) -> DarknetModel:
    """Builds a randomly initialised model, in training mode; `names` default to `class 0`, `class 1`, …"""
    model = DarknetModel(network, names, {"weights": "random"})
    model.initialise(generator)
    return model


def from_checkpoint(model_file: Checkpoint) -> DarknetModel:
    """Returns the model of a checkpoint, in evaluation mode. The tensors are copied."""
    model = DarknetModel(model_file.network, model_file.names, model_file.provenance)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in model_file.state.items()})
    return model.eval()


def to_checkpoint(model: DarknetModel) -> Checkpoint:
    """Returns the model as description and float32 arrays, copied to the CPU."""
    state = {
        name: tensor.detach().to("cpu", torch.float32).contiguous().numpy().copy()
        for name, tensor in model.state_dict().items()
    }
    return Checkpoint(model.network, state, model.names, dict(model.provenance))


def _unread_after(inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Returns, per layer, the outputs that no later layer reads: they are freed once it has run."""
    last_reader = {index: index for index in range(len(inputs))}
    for index, sources in enumerate(inputs):
        last_reader |= dict.fromkeys(sources, index)
    done: list[list[int]] = [[] for _ in inputs]
    for source, index in last_reader.items():
        done[index].append(source)
    return done


def _fill_head(convolution: nn.Conv2d, head: YoloHead, generator: torch.Generator | None) -> None:
    nn.init.normal_(convolution.weight, std=HEAD_STANDARD_DEVIATION, generator=generator)
    assert convolution.bias is not None
    bias = convolution.bias.view(len(head.anchors), 5 + head.num_classes)
    bias[:, :4] = 0
    bias[:, 4] = _logit(OBJECTNESS_PRIOR)  # Lin 2017, section 4.1: b = -log((1 - π) / π)
    # Class probabilities are conditional on an object: one class is as likely as the other.
    bias[:, 5:] = _logit(1 / max(2, head.num_classes))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
