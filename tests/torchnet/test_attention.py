"""Attached gates start where the model stood."""

from __future__ import annotations

import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import ModelError
from seyolo.opening.description import gates_of
from seyolo.options.model import ModelOptions
from seyolo.torchnet.attention import attach
from seyolo.torchnet.build import DarknetModel, build

IMAGES = random_images(64, 64, num=2)


@pytest.fixture(scope="module")
def yolov3() -> DarknetModel:
    return calibrated(network_from_name("yolov3@0.125", num_classes=1), IMAGES)


def logits(model: DarknetModel) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([head.flatten(1) for head in model.forward_heads(IMAGES)], dim=1)


@pytest.mark.parametrize("join", ["scale", "add"])
@pytest.mark.parametrize("kind", ["se", "cbam", "eca", "coordatt"])
@pytest.mark.parametrize("at", ["residual", "stage", "neck", "head"])
def test_the_output_is_unchanged(yolov3: DarknetModel, kind: str, at: str, join: str) -> None:
    gated = attach(yolov3, kind, at, join=join)  # type: ignore[arg-type]
    assert len(gated.layers) > len(yolov3.layers)
    # `scale` moves powers of two, which round nothing; `add` moves 1.5 and 1.25 through a hundred layers.
    tolerance = 1e-5 if join == "scale" else 2e-4
    torch.testing.assert_close(logits(gated), logits(yolov3), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "site"), [("yolov3@0.125", "residual"), ("yolov3-tiny@0.25", "neck")])
def test_without_a_site_gates_stand_where_the_command_line_puts_them(name: str, site: str) -> None:
    network = network_from_name(name, num_classes=1)
    asked = gates_of(network, ModelOptions(attention="se"))
    gated = attach(build(network), "se")
    assert gated.provenance["attention"]["at"] == [site] == list(asked.at)  # type: ignore[index, union-attr]
    assert gated.network == attach(build(network), "se", site).network


def test_the_old_model_is_untouched_and_a_gate_matters(yolov3: DarknetModel) -> None:
    before = {name: value.clone() for name, value in yolov3.state_dict().items()}
    gated = attach(yolov3, "se", ("residual", "neck"))
    assert all(torch.equal(value, before[name]) for name, value in yolov3.state_dict().items())
    excite = next(index for index, s in enumerate(gated.network.layers) if s.kind == "scale_channels") - 1
    with torch.no_grad():
        gated.layers[excite].conv.bias += 1
    assert (logits(gated) - logits(yolov3)).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["se", "cbam", "eca", "coordatt"])
def test_all_places_at_once_leave_the_output_unchanged(yolov3: DarknetModel, kind: str) -> None:
    gated = attach(yolov3, kind, ("residual", "stage", "neck", "head"))  # type: ignore[arg-type]
    torch.testing.assert_close(logits(gated), logits(yolov3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("join", ["scale", "add"])
@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_a_curved_activation_changes_little(kind: str, join: str) -> None:
    block = CONVOLUTION.replace("stride=2", "stride=1").replace("leaky", "mish") + "[shortcut]\nfrom=-2\n"
    model = calibrated(small_network(CONVOLUTION + block), IMAGES)
    gated = attach(model, kind, "residual", join=join)  # type: ignore[arg-type]
    change = (logits(gated) - logits(model)).abs().max() / logits(model).abs().max()
    assert 0 < change < 0.1


@pytest.mark.parametrize("join", ["scale", "add"])
@pytest.mark.parametrize("kind", ["eca", "coordatt"])
def test_a_gain_needs_no_linear_neighbour(kind: str, join: str) -> None:
    block = CONVOLUTION.replace("stride=2", "stride=1").replace("leaky", "mish") + "[shortcut]\nfrom=-2\n"
    model = calibrated(small_network(CONVOLUTION + block), IMAGES)
    gated = attach(model, kind, "residual", join=join)  # type: ignore[arg-type]
    torch.testing.assert_close(logits(gated), logits(model), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("join", "most"), [("scale", 0.6), ("add", 0.3)])
def test_simam_changes_what_stands_out(yolov3: DarknetModel, join: str, most: float) -> None:
    """It has no parameters: its gain takes out the average of the gate, the rest is attention."""
    gated = attach(yolov3, "simam", "head", join=join)  # type: ignore[arg-type]
    change = (logits(gated) - logits(yolov3)).std() / logits(yolov3).std()
    assert 0 < change < most
    assert gated.provenance["attention"] == {"kind": "simam", "at": ["head"], "join": join}


def test_names_origin_and_mode_follow(yolov3: DarknetModel) -> None:
    gated = attach(yolov3, "cbam", ("neck", "head"), reduction=4, join="add")
    assert gated.names == yolov3.names
    assert not gated.training
    assert gated.provenance["attention"] == {
        "kind": "cbam",
        "at": ["neck", "head"],
        "join": "add",
        "reduction": 4,
    }


def test_gates_learn_from_the_first_step(yolov3: DarknetModel) -> None:
    gated = attach(yolov3, "se", "head").train()
    gated(IMAGES).sum().backward()
    excite = next(index for index, s in enumerate(gated.network.layers) if s.kind == "scale_channels") - 1
    gradient = gated.layers[excite].conv.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_a_place_the_network_lacks_is_refused() -> None:
    with pytest.raises(ModelError, match="residual"):
        attach(calibrated(network_from_name("yolov3-tiny@0.25", 1), IMAGES), "se", "residual")
