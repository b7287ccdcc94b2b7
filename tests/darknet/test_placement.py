"""Attention at every site of every family; where a site does not exist, the error says which do."""

from __future__ import annotations

import pytest

from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.edit import attach
from seyolo.darknet.graph import shapes
from seyolo.darknet.placement import GATE_TITLES, SITES, default_site, find_gates, layers_to_gate
from seyolo.darknet.sections import Shortcut
from seyolo.darknet.zoo import ZOO, network_from_name
from seyolo.errors import ModelError

RESIDUAL = [
    name for name in ZOO if any(isinstance(layer, Shortcut) for layer in network_from_name(name).layers)
]


def test_most_families_are_residual() -> None:
    assert {"yolov3", "yolov4", "yolov4-csp", "yolov4-p6", "csresnext50-panet-spp", "enetb0-coco"} <= set(
        RESIDUAL
    )


@pytest.mark.parametrize("name", RESIDUAL)
@pytest.mark.parametrize("kind", ["se", "cbam", "eca", "coordatt", "simam"])
def test_all_four_places_of_residual_families(name: str, kind: str) -> None:
    network = network_from_name(f"{name}@0.25", num_classes=1)
    dense = shapes(network)
    for site in SITES:
        attached = attach(network, kind, site)  # type: ignore[arg-type]
        assert attached.gates
        gated = shapes(attached.network)
        assert all(gated[new] == dense[old] for old, new in enumerate(attached.layer_map))
        assert parse_cfg(attached.network.to_cfg()) == attached.network


@pytest.mark.parametrize("name", ZOO)
def test_a_missing_site_names_those_that_exist(name: str) -> None:
    network = network_from_name(name)
    existing = [site for site in SITES if layers_to_gate(network, site)]
    assert "head" in existing
    assert default_site(network, "se") in existing
    for site in set(SITES) - set(existing):
        with pytest.raises(ModelError, match=f"does not have site '{site}'.*has {', '.join(existing)}"):
            attach(network, "se", site)


@pytest.mark.parametrize("kind", ["se", "cbam", "eca", "coordatt", "simam"])
@pytest.mark.parametrize("join", ["scale", "add"])
@pytest.mark.parametrize("site", SITES)
def test_the_same_gates_do_not_stand_twice(kind: str, join: str, site: str) -> None:
    once = attach(network_from_name("yolov3@0.25", 1), kind, site, join=join).network  # type: ignore[arg-type]
    message = f"yolov3@0.25 has {GATE_TITLES[kind]} gates already at '{site}' "
    with pytest.raises(ModelError, match=message):
        attach(once, kind, site)  # type: ignore[arg-type]
    for other in set(SITES) - {site}:
        assert attach(once, kind, other, join=join).gates  # type: ignore[arg-type]


def test_another_kind_may_stand_where_gates_are() -> None:
    for site in ("stage", "neck", "head"):
        once = attach(network_from_name("yolov3@0.25", 1), "se", site).network  # type: ignore[arg-type]
        assert attach(once, "cbam", site).gates  # type: ignore[arg-type]


def test_forgotten_gates_are_noticed_without_a_site() -> None:
    for name in ("se-yolov3@0.25", "se-yolov3-tiny", "cbam-yolov3-tiny@0.25", "eca-yolov3"):
        network, kind = network_from_name(name), name.split("-")[0]
        with pytest.raises(ModelError, match="already at"):
            attach(network, kind, default_site(network, kind))  # type: ignore[arg-type]
    assert default_site(network_from_name("se-yolov3@0.25"), "cbam") == "neck"


def test_published_gates_inside_of_blocks_are_another_site() -> None:
    network = network_from_name("enetb0-coco")
    assert find_gates(network, "se")
    assert attach(network, "se", default_site(network, "se")).gates
