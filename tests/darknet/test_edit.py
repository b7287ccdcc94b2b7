"""Insertion keeps the wiring, gates stand where the graph says, and heads change as asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers.strategies import networks
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.edit import (
    Attached,
    attach,
    insert,
    moved_state,
    remove_blocks,
    set_activation,
    set_anchors,
    set_classes,
    set_letterbox,
    set_size,
)
from seyolo.darknet.graph import channels, detection_layers, inputs, num_classes, shapes
from seyolo.darknet.placement import SITES, gated_layers, layers_to_gate
from seyolo.darknet.sections import (
    Cbam,
    Convolutional,
    CoordAtt,
    Dropout,
    Eca,
    Reference,
    Route,
    Shortcut,
    SimAm,
    Yolo,
)  # fmt: skip
from seyolo.darknet.weights import tensor_shapes
from seyolo.darknet.zoo import network_from_name, yolov3, yolov3_tiny
from seyolo.errors import CfgError, ModelError

CHAIN = parse_cfg(
    "[net]\nwidth=32\nheight=32\n"
    "[convolutional]\nfilters=4\nsize=1\n"
    "[convolutional]\nfilters=4\nsize=1\n"
    "[shortcut]\nfrom=-2\n"
    "[route]\nlayers=-1,0\n"
)


def test_inserted_sections_by_hand() -> None:
    probe = Route(layers=(Reference(1),))
    network, layer_map = insert(CHAIN, {-1: [Dropout()], 0: [Dropout(), Dropout()], 1: [probe]})
    kinds = [section.kind for section in network.layers]
    assert kinds == "dropout convolutional dropout dropout convolutional route shortcut route".split()
    assert layer_map == (1, 4, 6, 7)
    assert inputs(network) == ((-1,), (0,), (1,), (2,), (3,), (4,), (5, 3), (6, 3))
    assert "from=-3\n" in network.to_cfg()  # 6 - 3
    assert "layers=-1,3\n" in network.to_cfg()


def test_nothing_inserted_changes_nothing() -> None:
    assert insert(CHAIN, {}) == (CHAIN, (0, 1, 2, 3))


def contracted_inputs(attached: Attached) -> tuple[tuple[int, ...], ...]:
    """What the old layers read, with each gate drawn together into the layer it gates."""
    old_of = {new: old for old, new in enumerate(attached.layer_map)} | {-1: -1}
    for gate in attached.gates:
        old_of |= dict.fromkeys(range(gate.source, gate.output + 1), old_of[gate.source])
    wiring = inputs(attached.network)
    return tuple(tuple(old_of[source] for source in wiring[new]) for new in attached.layer_map)


@given(
    network=networks(max_blocks=8),
    kind=st.sampled_from(["se", "cbam", "eca", "coordatt", "simam"]),
    join=st.sampled_from(["scale", "add"]),
    data=st.data(),
)
def test_attaching_keeps_the_graph(network: Network, kind: str, join: str, data: st.DataObject) -> None:
    existing = [
        site for site in SITES if layers_to_gate(network, site) and not gated_layers(network, site, kind)
    ]
    assume(existing)
    sites = data.draw(st.lists(st.sampled_from(existing), min_size=1, unique=True))
    reduction = 16 if kind in ("eca", "simam") else 4
    attached = attach(network, kind, sites, reduction=reduction, join=join)
    assert contracted_inputs(attached) == inputs(network)
    new_wiring, gated = inputs(attached.network), {gate.source for gate in attached.gates}
    for new in attached.layer_map:
        assert not gated & set(new_wiring[new])  # every old layer reads the gate, not what it gates
    old_shapes, new_shapes = shapes(network), shapes(attached.network)
    assert tuple(new_shapes[new] for new in attached.layer_map) == old_shapes
    for gate in attached.gates:
        assert new_shapes[gate.output] == new_shapes[gate.source]
    assert parse_cfg(attached.network.to_cfg()) == attached.network


@given(networks())
def test_old_tensors_fit_the_new_network(network: Network) -> None:
    assume(layers_to_gate(network, "head") and not gated_layers(network, "head", "se"))
    attached = attach(network, "se", "head")
    moved = moved_state(tensor_shapes(network), attached.layer_map)
    assert moved.items() <= tensor_shapes(attached.network).items()
    new = {f"layers.{i}" for gate in attached.gates for i in (gate.squeeze, gate.excite)}
    assert {name.rsplit(".", 2)[0] for name in tensor_shapes(attached.network).keys() - moved.keys()} == new


@pytest.mark.parametrize("join", ["scale", "add"])
def test_squeeze_and_excite_by_hand(join: str) -> None:
    attached = attach(CHAIN, "se", "residual", join=join)
    (gate,) = attached.gates
    assert (gate.source, gate.squeeze, gate.excite) == (1, 3, 4)
    assert gate.output == (5 if join == "scale" else 6)
    printed = attached.network.to_cfg().split("\n\n")[3:-2]
    assert printed[:4] == [
        "[avgpool]",
        "[convolutional]\nfilters=8\nsize=1\nstride=1\npad=1\nactivation=relu",
        "[convolutional]\nfilters=4\nsize=1\nstride=1\npad=1\nactivation=logistic",
        "[scale_channels]\nfrom=-4\nactivation=linear",
    ]
    assert printed[4:] == ([] if join == "scale" else ["[shortcut]\nfrom=-5\nactivation=linear"])
    shortcut = attached.layer_map[2]
    assert inputs(attached.network)[shortcut] == (gate.output, 0)


def test_cbam_by_hand() -> None:
    attached = attach(yolov3(1), "cbam", "stage", reduction=32, join="add")
    gates = [(gate.source, gate.output) for gate in attached.gates]
    # Darknet-53's stages end at 4, 11, 36, 61 and 74; each gate moves the later ones by one
    assert gates == [(4, 5), (12, 13), (38, 39), (64, 65), (78, 79)]
    hidden = [attached.network.layers[gate.output].hidden for gate in attached.gates]  # type: ignore[attr-defined]
    assert hidden == [8, 8, 8, 16, 32]  # 64, 128, 256, 512 and 1024 channels
    assert all(attached.network.layers[gate.output].join == "add" for gate in attached.gates)  # type: ignore[attr-defined]
    neck = [i for i, s in enumerate(attached.network.layers) if isinstance(s, Route) and len(s.layers) == 2]
    assert [inputs(attached.network)[i][1] for i in neck] == [65, 39]  # the long routes read the gated maps


def test_gates_of_one_section_by_hand() -> None:
    """ECA's kernel is the odd number next to (log2 C + 1) / 2: 3.5, 4, 4.5, 5 and 5.5 here."""
    sections = [
        [attached.network.layers[gate.output] for gate in attached.gates]
        for attached in (attach(yolov3(1), kind, "stage") for kind in ("eca", "coordatt", "simam"))  # type: ignore[arg-type]
    ]
    assert sections[0] == [Eca(size=size, gain=2.0) for size in (3, 5, 5, 5, 5)]
    assert sections[1] == [CoordAtt(hidden=hidden, gain=4.0) for hidden in (8, 8, 16, 32, 64)]
    assert sections[2] == [SimAm(gain=1.2)] * 5
    added = attach(CHAIN, "eca", "residual", join="add").network.to_cfg()
    assert "[eca]\njoin=add\ngain=0.666666666667\nsize=3\n" in added
    assert (
        "[simam]\njoin=add\ngain=0.545454545455\n"
        in attach(CHAIN, "simam", "residual", join="add").network.to_cfg()
    )


def test_blocks_are_removed_and_references_follow() -> None:
    network = yolov3(1)
    # Shortcut 8 ends the first block of the second stage; 33 and 36 are the last two of the third, and the
    # long route of the neck reads 36: it then reads 30, which is 30 - 3 = 27 now.
    shortened = remove_blocks(network, [8, 36, 33])
    assert len(shortened.network.layers) == len(network.layers) - 9
    assert [i for i, new in enumerate(shortened.layer_map) if new is None] == [6, 7, 8, *range(31, 37)]
    stand_in = {8: 5, 33: 30, 36: 30}
    new_inputs = inputs(shortened.network)
    for index, sources in enumerate(inputs(network)):
        if (new := shortened.layer_map[index]) is not None:
            expected = [shortened.layer_map[stand_in.get(s, s)] if s >= 0 else s for s in sources]
            assert list(new_inputs[new]) == expected
    neck = [section for section in shortened.network.layers if isinstance(section, Route)][-1]
    assert [reference.layer for reference in neck.layers][1] == 27
    assert parse_cfg(shortened.network.to_cfg()) == shortened.network
    moved = moved_state(tensor_shapes(network), shortened.layer_map)
    assert moved == tensor_shapes(shortened.network)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("[convolutional]\nfilters=4", "no \\[shortcut\\] of two layers"),
        ("[convolutional]\nfilters=4\n[shortcut]\nfrom=-2\nactivation=leaky", "does more than add"),
        ("[convolutional]\nfilters=4\n[shortcut]\nfrom=-2\n[route]\nlayers=-1,-2", "read outside its"),
    ],
)
def test_blocks_that_cannot_go(block: str, message: str) -> None:
    network = parse_cfg(f"[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=4\n{block}\n")
    shortcuts = [i for i, section in enumerate(network.layers) if isinstance(section, Shortcut)]
    with pytest.raises(ModelError, match=message):
        remove_blocks(network, shortcuts or [1])


def test_places_of_the_zoo() -> None:
    network = yolov3(1)
    residual = layers_to_gate(network, "residual")
    assert len(residual) == 23
    assert residual[:3] == (3, 7, 10)
    assert layers_to_gate(network, "neck") == (86, 98)
    assert layers_to_gate(network, "head") == (80, 92, 104)
    tiny = yolov3_tiny(1)
    assert [layers_to_gate(tiny, site) for site in SITES] == [(), (), (20,), (14, 21)]


def test_a_layer_of_two_places_gets_one_gate() -> None:
    network = parse_cfg(
        "[net]\nwidth=32\nheight=32\n"
        "[convolutional]\nfilters=4\nsize=1\n"
        "[maxpool]\nsize=2\nstride=2\n"
        "[upsample]\nstride=2\n"
        "[route]\nlayers=-1,0\n"
        "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n"
        "[yolo]\nmask=0\nanchors=1,1\nnum=1\nclasses=1\n"
    )
    attached = attach(network, "cbam", ("neck", "head"))
    assert [(gate.site, gate.source, gate.output) for gate in attached.gates] == [("neck", 3, 4)]


def test_a_gate_is_no_place_for_the_next_one() -> None:
    once = attach(yolov3(1), "se", "residual", join="add").network
    assert layers_to_gate(once, "residual") == ()
    assert len(layers_to_gate(once, "stage")) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"at": "residual"},
            "does not have site 'residual' to attach attention; yolov3-tiny has neck, head",
        ),
        ({"at": ("neck", "stage")}, "does not have site 'stage'"),
        ({"at": "tail"}, "there is no site 'tail' to attach attention; yolov3-tiny has neck, head"),
        ({"at": ()}, "name at least one site"),
        ({"kind": "bam"}, "there is no attention 'bam'; choose one of se, cbam, eca, coordatt, simam"),
        ({"kind": "eca", "reduction": 8}, "ECA gates have no hidden channels; leave the reduction out"),
        ({"join": "mul"}, "there is no join 'mul'; choose one of scale, add"),
        ({"reduction": 0}, "the reduction ratio must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_attached(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        attach(yolov3_tiny(1), **({"kind": "se", "at": "neck"} | arguments))  # type: ignore[arg-type]


def test_set_classes() -> None:
    network = yolov3(80, width=0.125)
    changed = set_classes(network, 2)
    assert changed == yolov3(2, width=0.125)
    assert num_classes(changed) == 2
    assert [channels(changed)[index] for index in detection_layers(changed)] == [21, 21, 21]  # 3 * (5 + 2)
    assert num_classes(network) == 80
    with pytest.raises(ModelError, match="at least one class"):
        set_classes(network, 0)
    bare = parse_cfg("[net]\n[yolo]\nmask=0\nanchors=1,1\nnum=1\nclasses=1\n")
    bare = replace(bare, net=replace(bare.net, channels=6))
    with pytest.raises(CfgError, match=r"\[yolo\] \(layer 0\): needs a convolution in front"):
        set_classes(bare, 2)


def test_set_anchors_sorts_and_distributes() -> None:
    sides = [(60, 50), (10, 12), (90, 90), (20, 31), (9, 12), (40, 41)]
    heads = [s for s in set_anchors(yolov3_tiny(1), sides).layers if isinstance(s, Yolo)]
    assert heads[0].masked_anchors == ((40, 41), (60, 50), (90, 90))  # stride 32: masks 3, 4, 5
    assert heads[1].masked_anchors == ((9, 12), (10, 12), (20, 31))
    with pytest.raises(ModelError, match="yolov3-tiny lists 6 anchors, got 5"):
        set_anchors(yolov3_tiny(1), sides[:5])
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ModelError, match="positive sides"):
            set_anchors(yolov3_tiny(1), [*sides[:5], (bad, 3)])


def test_set_activation_leaves_gates_detection_and_linear_layers() -> None:
    network = network_from_name("se-yolov3@0.125", num_classes=1)
    sizes = [shape.size for shape in shapes(network)]
    changed = set_activation(network, "relu6")
    kinds = {}
    for before, after, size in zip(network.layers, changed.layers, sizes, strict=True):
        if isinstance(before, Convolutional):
            kinds.setdefault((before.activation, size == (1, 1)), set()).add(after.activation)
    assert kinds == {
        ("leaky", False): {"relu6"},
        ("relu", True): {"relu"},
        ("logistic", True): {"logistic"},
        ("linear", False): {"linear"},
    }
    assert set_activation(changed, "relu6") == changed


def test_set_activation_of_sums() -> None:
    cfg = CHAIN.to_cfg().replace("activation=linear", "activation=mish")
    changed = set_activation(parse_cfg(cfg), "relu")
    assert [getattr(section, "activation", None) for section in changed.layers] == [
        "logistic", "logistic", "relu", None,
    ]  # fmt: skip


def test_set_size_and_letterbox() -> None:
    changed = set_letterbox(set_size(yolov3_tiny(1), 320, 416), False)
    assert (changed.net.height, changed.net.width, changed.net.letter_box) == (320, 416, False)
    with pytest.raises(CfgError, match=r"an image width of 330 is no multiple of 32.*; take 320 or 352"):
        set_size(changed, 320, 330)


def test_moved_state_keeps_values() -> None:
    state = {"layers.0.conv.weight": np.zeros(1), "layers.2.bn.running_var": np.ones(1)}
    moved = moved_state(state, (1, 2, 7))
    assert list(moved) == ["layers.1.conv.weight", "layers.7.bn.running_var"]
    assert moved["layers.7.bn.running_var"] is state["layers.2.bn.running_var"]


def test_prefixes_of_the_zoo_attach() -> None:
    se, cbam = network_from_name("se-yolov3@0.25", 1), network_from_name("cbam-yolov3-tiny", 1)
    assert len(se.layers) == 107 + 23 * 4
    assert sum(isinstance(s, Cbam) for s in cbam.layers) == 1
    squeezed = [s for s in se.layers if isinstance(s, Convolutional) and s.activation == "relu"]
    assert {s.filters for s in squeezed} == {8, 16}  # 1024 / 4 / 16 = 16
