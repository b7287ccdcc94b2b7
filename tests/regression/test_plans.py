"""Plans of zoo networks whose scales are drawn, and the networks that they leave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from drawn import draw_scales, numpy_state
from pins import Recording, digest

import seyolo
from seyolo.darknet.cfg import stored_cfg  # without the key that is newer than the pins

NETWORKS = {
    "yolov3@0.25": "se",
    "yolov4-tiny": None,
    "yolov7-tiny": None,
    "yolo-fastest-1.1": None,
}
BUDGETS = ("macs=30%", "params=40%")


def cuts(name: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Budgets and options to cut a network by."""
    yield from ((budget, {}) for budget in BUDGETS)
    if name == "yolov4-tiny":
        yield "macs=30%", {"method": "norm"}
        yield "macs=30%", {"method": "group", "evenness": 0.5}
        yield "macs=50%", {"method": "uniform"}
        yield "channels=40%", {"scope": "plain", "multiple": 1, "least_share": 0.2, "keep": [2]}
    if name == "yolov3@0.25":
        yield "macs=40%", {"blocks": False}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_plan_is_as_it_was(name: str) -> None:
    model = draw_scales(name, NETWORKS[name])
    found = Recording(f"plan {name}".replace(" ", "-"))
    found.exact["cfg"] = digest(stored_cfg(model.network))
    found.add_state("dense", numpy_state(model))
    for budget, options in cuts(name):
        slim, plan = seyolo.prune(model, budget, **options)
        what = " ".join([budget, *(f"{key}={value}" for key, value in options.items())])
        found.exact[f"{what} plan"] = digest(plan.to_json())
        found.exact[f"{what} params, macs"] = [plan.params, plan.macs]
        found.exact[f"{what} blocks removed"] = list(plan.blocks_removed)
        found.exact[f"{what} widths"] = " ".join(str(after) for _, _, after in plan.table())
        found.exact[f"{what} cfg"] = digest(stored_cfg(slim.network))
        found.add_state(f"{what} network", numpy_state(slim))
    found.hold()
