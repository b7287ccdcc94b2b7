"""Small cfg graphs as text, and their channel groups."""

from __future__ import annotations

from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.pruning.groups.groups import Group, Groups

YOLO = (
    "[convolutional]\nfilters=6\nsize=1\nstride=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n"
)


def conv(filters: int, groups: int = 1) -> str:
    return (
        f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize=3\nstride=1\npad=1\n"
        f"groups={groups}\nactivation=leaky\n"
    )


def network_of(*sections: str) -> Network:
    return parse_cfg("[net]\nwidth=32\nheight=32\n" + "".join(sections) + YOLO)


def group_of(groups: Groups, *layers: int) -> Group:
    (found,) = [group for group in groups.groups if group.layers == layers]
    return found
