"""Our channel groups, read off the description, against Torch-Pruning's, found by tracing the module."""

from __future__ import annotations

import pytest
import torch
import torch_pruning
from torch import nn

from seyolo.darknet.zoo import network_from_name
from seyolo.pruning.groups.groups import Group, find_groups
from seyolo.torchnet.build import DarknetModel, build
from seyolo.torchnet.layers import ConvolutionLayer

SIZE = 64
Channels = set[tuple[int, int]]
"""(layer, output channel) of the convolutions that lose it."""


def ours(group: Group, slot: int) -> Channels:
    return {(layer, int(members[slot])) for layer, members in zip(group.layers, group.members, strict=True)}


def theirs(graph: torch_pruning.DependencyGraph, model: DarknetModel, layer: int, channel: int) -> Channels:
    layer_of: dict[nn.Module, int] = {
        module.conv: index
        for index, module in enumerate(model.layers)
        if isinstance(module, ConvolutionLayer)
    }
    root = model.layers[layer].conv
    removed: Channels = set()
    for dependency, channels in graph.get_pruning_group(
        root, torch_pruning.prune_conv_out_channels, idxs=[channel]
    ):
        module = dependency.target.module
        if module in layer_of and "in_channels" not in dependency.handler.__name__:
            removed |= {(layer_of[module], index) for index in channels}
    return removed


@pytest.mark.filterwarnings("ignore")  # raised inside that library
@pytest.mark.parametrize(
    "name",
    ["yolov3@0.125", "yolov3-tiny@0.125", "yolov3-spp@0.125", "se-yolov3@0.125", "cbam-yolov3-tiny@0.25"],
)
def test_the_same_channels_go_together(name: str) -> None:
    model = build(network_from_name(name, num_classes=1)).eval()
    graph = torch_pruning.DependencyGraph().build_dependency(
        model, torch.rand(1, 3, SIZE, SIZE), forward_fn=lambda model, images: model.forward_heads(images)
    )
    free = [group for group in find_groups(model.network).groups if not group.fixed and group.layers]
    assert free
    for group in free:
        for slot in {0, group.num_channels - 1}:
            expected = theirs(graph, model, group.layers[0], int(group.members[0][slot]))
            assert ours(group, slot) == expected, group.layers
