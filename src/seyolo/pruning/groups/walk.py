"""Walk over the layers of a network that collects atoms and ties by the channel rules."""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import channels, inputs
from seyolo.pruning.groups.atoms import Walk, WalkBuilder
from seyolo.pruning.groups.rules import RULES


def walk_atoms(network: Network) -> Walk:
    """Walks over any network.

    Raises:
        CfgError: layers that do not fit.
    """
    channels(network)  # refuses layers that do not fit
    walk = WalkBuilder(network.net.channels)
    for section, sources in zip(network.layers, inputs(network), strict=True):
        read = [walk.read(source) for source in sources]
        walk.vectors.append(RULES[type(section)].atoms(walk, section, read))
    return walk.finish()
