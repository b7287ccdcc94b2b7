"""The plan as a document: JSON there and back, its table, and networks it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import PlanError
from seyolo.options.cut import CutOptions
from seyolo.pruning.groups.groups import find_groups, keep_masks
from seyolo.pruning.planning.plan import Plan, counted_plan, recounted_plan
from seyolo.pruning.planning.prunable import PrunableNetwork


@pytest.fixture(scope="module")
def network() -> Network:
    return network_from_name("yolov3-tiny@0.25", 1)


@pytest.fixture(scope="module")
def plan(network: Network) -> Plan:
    groups = find_groups(network)
    kept = [np.arange(g.num_channels if g.fixed else g.num_channels // 2) for g in groups.groups]
    return counted_plan(PrunableNetwork(network), kept, budget="macs=30%", options=CutOptions(multiple=8))


def test_json_round_trip(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan
    value = json.loads(plan.to_json())
    assert {"params", "macs", "groups", "blocks_removed"} <= set(value)
    assert value["blocks_removed"] == []
    assert set(value["groups"][0]) == {"layers", "kept", "removed"}
    assert value["groups"][0] == {"layers": [0], "kept": [0, 1, 2, 3], "removed": [4, 5, 6, 7]}


def test_masks_are_those_the_plan_was_made_of(network: Network, plan: Plan) -> None:
    groups = find_groups(network)
    kept = [np.arange(g.num_channels if g.fixed else g.num_channels // 2) for g in groups.groups]
    for mask, expected in zip(plan.masks(network), keep_masks(groups, kept), strict=True):
        np.testing.assert_array_equal(mask, expected)


def test_table_lists_every_convolution(plan: Plan) -> None:
    table = plan.table()
    assert len(table) == 13
    assert table[0] == (0, 8, 4)
    assert table[9] == (15, 18, 18)  # in front of [yolo]


def test_fingerprint_ignores_what_does_not_compute(network: Network) -> None:
    larger = replace(network, net=replace(network.net, width=320, height=320), source="other.cfg")
    assert PrunableNetwork(larger).fingerprint == PrunableNetwork(network).fingerprint
    other = network_from_name("yolov3-tiny@0.5", 1)
    assert PrunableNetwork(other).fingerprint != PrunableNetwork(network).fingerprint


def test_another_network_is_refused(plan: Plan) -> None:
    with pytest.raises(PlanError, match="another network"):
        plan.masks(network_from_name("yolov3-tiny@0.5", 1))


def edited(plan: Plan, **changes: Any) -> Plan:
    cut = {**plan.groups[0], **changes}
    return replace(plan, groups=(cut, *plan.groups[1:]))  # type: ignore[arg-type]


def test_edits_are_checked(network: Network, plan: Plan) -> None:
    assert edited(plan, kept=[7], removed=list(range(7))).masks(network)[0].tolist() == [False] * 7 + [True]
    with pytest.raises(PlanError, match="keep at least one channel"):
        edited(plan, kept=[], removed=list(range(8))).masks(network)
    with pytest.raises(PlanError, match="each of its channels once"):
        edited(plan, kept=[0, 1, 99]).masks(network)
    with pytest.raises(PlanError, match="the network has"):
        edited(plan, layers=[5]).masks(network)
    with pytest.raises(PlanError, match="groups, the network"):
        replace(plan, groups=plan.groups[1:]).masks(network)


def test_an_edited_plan_is_counted_anew(network: Network, plan: Plan) -> None:
    timed = replace(plan, latency_ms={"torch": 2.0}, measured_ms={"torch": 2.1}, dense_ms={"torch": 4.0})
    others = edited(timed, kept=[4, 5, 6, 7], removed=[0, 1, 2, 3])
    assert recounted_plan(PrunableNetwork(network), others) == others  # as wide as before, so as fast
    fewer = recounted_plan(PrunableNetwork(network), edited(timed, kept=[0], removed=[1, 2, 3, 4, 5, 6, 7]))
    # Three 3x3 kernels over the image with scale and shift, and their planes in the 4 filters behind.
    assert fewer.params == plan.params - 3 * (9 * 3 + 2) - 3 * 9 * 4
    assert fewer.table()[0] == (0, 8, 1)
    assert (fewer.latency_ms, fewer.measured_ms, fewer.dense_ms) == ({}, {}, {})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"params": 1}', '"plan"', "null"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        Plan.from_json(text)
