"""Attention at every place of every family; where a place does not exist, the error says which do."""

from __future__ import annotations

import pytest

from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.edit import attach
from seyolo.darknet.graph import shapes
from seyolo.darknet.placement import PLACES, default_place, layers_to_gate
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
@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_all_four_places_of_residual_families(name: str, kind: str) -> None:
    network = network_from_name(f"{name}@0.25", num_classes=1)
    dense = shapes(network)
    for place in PLACES:
        attached = attach(network, kind, place)  # type: ignore[arg-type]
        assert attached.gates
        gated = shapes(attached.network)
        assert all(gated[new] == dense[old] for old, new in enumerate(attached.layer_map))
        assert parse_cfg(attached.network.to_cfg()) == attached.network


@pytest.mark.parametrize("name", ZOO)
def test_a_missing_place_names_those_that_exist(name: str) -> None:
    network = network_from_name(name)
    existing = [place for place in PLACES if layers_to_gate(network, place)]
    assert "head" in existing
    assert default_place(network) in existing
    for place in set(PLACES) - set(existing):
        with pytest.raises(ModelError, match=f"does not have place '{place}'.*has {', '.join(existing)}"):
            attach(network, "se", place)
