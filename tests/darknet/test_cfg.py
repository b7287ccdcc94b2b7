"""Parsing and printing: values, messages with file and line, and parse ∘ print ∘ parse."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.strategies import networks
from seyolo.darknet.cfg import SECTION_TYPES, parse_cfg, read_cfg
from seyolo.darknet.edit import insert
from seyolo.darknet.sections import Convolutional, Dropout, MaxPool, Reference, Route, Yolo
from seyolo.errors import CfgError

SMALL = """\
# a comment
[net]
batch=1
width=64
height = 32   ; another
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[route]
layers=-1, 1

[convolutional]
filters=14
size=1
activation=linear

[yolo]
mask=0,1
anchors=10,13, 16.5,30
classes=2
num=2
jitter=.3
"""

PRINTED = """\
# a comment
[net]
; another
width=64
height=32
channels=3
batch=1

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[route]
layers=-1,1

[convolutional]
filters=14
size=1
stride=1
activation=linear

[yolo]
mask=0,1
anchors=10,13,16.5,30
classes=2
num=2
jitter=.3
"""


def test_values_and_lines() -> None:
    network = parse_cfg(SMALL, "small.cfg")
    assert (network.net.height, network.net.width, network.net.line) == (32, 64, 2)
    conv, pool, route, _, yolo = network.layers
    assert isinstance(conv, Convolutional)
    assert (conv.filters, conv.padding_px, conv.strides, conv.line) == (8, 1, (2, 2), 8)
    assert isinstance(pool, MaxPool)
    assert (pool.kernel_px, pool.padding_px) == (2, 1)
    assert isinstance(route, Route)
    assert route.layers == (Reference(1, relative=True), Reference(1, relative=False))
    assert isinstance(yolo, Yolo)
    assert yolo.masked_anchors == ((10, 13), (16.5, 30))
    assert yolo.extras == (("jitter", ".3"),)


def test_printed_text_is_pinned() -> None:
    assert parse_cfg(SMALL).to_cfg() == PRINTED


def test_comments_stay_with_their_section() -> None:
    text = """
# the image
[net]
width=32
height=32  # as trained

# Downsample
; twice
[convolutional]
#filters=16
filters=12
activation=linear
# no keys follow
[yolo]
# the last word
anchors=1,1
num=1
classes=7
"""
    network = parse_cfg(text)
    assert network.net.comments == ("# the image",)
    assert network.net.notes == ("# as trained",)
    assert network.layers[0].comments == ("# Downsample", "; twice")
    printed = network.to_cfg()
    for line in text.split("\n"):
        assert line.partition("  ")[2] or line in printed
    assert "# Downsample\n; twice\n[convolutional]\n#filters=16\n" in printed
    assert "# no keys follow\n[yolo]\n# the last word\n" in printed
    assert parse_cfg(printed).to_cfg() == printed
    with_gate = insert(network, {-1: [Dropout()]}).network
    assert "[dropout]\n\n# Downsample\n; twice\n[convolutional]" in with_gate.to_cfg()


@given(networks())
def test_parse_print_parse_is_the_identity(network) -> None:
    text = network.to_cfg()
    again = parse_cfg(text)
    assert again == network
    assert again.to_cfg() == text


def test_every_section_occurs_in_the_random_networks() -> None:
    seen: set[str] = set()

    @settings(max_examples=150, derandomize=True)
    @given(networks(max_blocks=8))
    def collect(network) -> None:
        seen.update(section.kind for section in network.layers)

    collect()
    assert seen == {section.kind for section in SECTION_TYPES.values()} - {"net"}


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("[maxpool]", "[maxpol]", 16, "section [maxpol] is not supported"),
        ("[maxpool]", "[maxpool", 16, "a section name ends with ']'"),
        ("size=2\n", "sise=2\n", 17, "has no key 'sise'; did you mean 'size'?"),
        ("size=2\n", "size=2.5\n", 17, "size=2.5: expected a whole number"),
        ("size=2\n", "size=99999999999\n", 17, "larger than 16777216"),
        ("size=2\n", "size=2\nsize=3\n", 18, "size= stands twice with different values"),
        ("size=2\n", "antialiasing=1\n", 17, "antialiasing=1 is not supported, only antialiasing=0"),
        ("layers=-1, 1", "layers=-3", 21, "layer 2 has no layer -3 in front of it"),
        ("layers=-1, 1", "layers=2", 21, "layer 2 reads layer 2, which is not in front of it"),
        ("layers=-1, 1", "layers=" + 16385 * "-1,", 21, "16385 values are more than the 16384"),
        ("layers=-1, 1", "", 20, "[route] needs layers="),
        ("layers=-1, 1", "layers=-1\ngroups=2\ngroup_id=2", 20, "group_id=2 is not below groups=2"),
        ("activation=leaky", "activation=leeky", 14, "activation=leeky: expected one of linear, leaky"),
        ("filters=8", "filters=0", 10, "filters=0: expected at least 1"),
        ("mask=0,1", "mask=0,2", 28, "mask=0,2 names anchors beyond num=2; they count from 0"),
        ("mask=0,1", "mask=1,1", 28, "mask=1,1 names an anchor twice"),
        ("num=2", "num=3", 28, "num=3 needs 6 numbers in anchors=, got 4"),
        ("16.5", "nan", 30, "expected a finite number"),
        ("16.5", "-1", 30, "expected a number above 0"),
        ("16.5,30", "16.5,30,4", 28, "anchors= are pairs of width and height, got 5 numbers"),
        ("size=2\n", "size=2\npadding=3\n", 16, "without a pixel; at most 2 (both sides together)"),
        ("[maxpool]", "[net]", 16, "[net] stands once, at the top"),
        ("width=64", "width 64", 4, "expected key=value, got 'width 64'"),
        ("# a comment", "size=1", 1, "a key stands in front of the first section"),
        ("[net]", "[dropout]", 2, "a network starts with a [net] section"),
        ("[maxpool]\nsize=2\nstride=2", "[cbam]\nsize=4", 16, "[cbam] size=4 must be odd"),
        ("[maxpool]\nsize=2\nstride=2", "[eca]\nsize=2", 16, "[eca] size=2 must be odd"),
        ("[maxpool]\nsize=2\nstride=2", "[eca]\npositions=0,3,3", 16, "[eca] positions= must increase"),
        ("[maxpool]", "[lstm]", 16, "section [lstm] (a recurrent layer) is not supported"),
        ("[yolo]", "[Gaussian_yolo]", 28, "(Gaussian YOLOv3) is not supported"),
        ("[yolo]\nmask=0,1", "[region]", 28, "only supported with softmax=1"),
        (
            "[maxpool]\nsize=2\nstride=2",
            "[shortcut]\nfrom=0\nweights_normalization=relu",
            16,
            "needs a weights_type=",
        ),
        ("[route]\nlayers=-1, 1", "[sam]\nfrom=0,1", 20, "[sam] takes one layer in from="),
    ],
)
def test_errors_name_file_and_line(old: str, new: str, line: int, text: str) -> None:
    assert old in SMALL
    with pytest.raises(CfgError) as caught:
        parse_cfg(SMALL.replace(old, new, 1), "small.cfg")
    assert str(caught.value).startswith(f"small.cfg:{line}: ")
    assert text in str(caught.value)


OUT_OF_BOUNDS = {
    "net": ["width=0", "height=-32", "channels=0", "letter_box=5", "letter_box=-1", "width=4_16", "width=٤"],
    "convolutional": [
        "pad=-1", "pad=2", "padding=-1", "batch_normalize=-1", "batch_normalize=2", "filters=-8", "size=0",
        "stride=0", "stride=-1", "stride_x=0", "stride_y=-2", "groups=0", "dilation=0", "dilation=-2",
        "antialiasing=-1", "filters=" + 5000 * "9",
    ],
    "maxpool": [
        "size=0", "size=-2", "stride=0", "stride=-2", "stride_x=0", "stride_y=-1", "padding=-1",
        "maxpool_depth=2", "out_channels=0", "antialiasing=2",
    ],
    "local_avgpool": ["size=0", "stride=-1", "padding=-3"],
    "upsample": ["stride=0", "stride=-2", "scale=0", "scale=-1", "scale=nan", "scale=1e30"],
    "reorg": ["stride=0", "reverse=2"],
    "reorg3d": ["stride=-1"],
    "implicit": ["filters=0", "mean=inf", "mean=1_0"],
    "route": ["layers=0\ngroups=0", "layers=0\ngroups=2\ngroup_id=-1"],
    "shortcut": ["from=0\nweights_type=per_pixel", "from=0\nactivation=none"],
    "scale_channels": ["from=0\nscale_wh=2"],
    "cbam": ["hidden=0", "size=-3", "floor=-1", "join=mul"],
    "eca": ["size=0", "join=both", "gain=0", "gain=-1", "positions=-1,0", "positions=0,x"],
    "coordatt": ["hidden=0", "batch_normalize=2", "gain=nan"],
    "simam": ["join=", "gain=1e30"],
    "yolo": [
        "classes=0", "classes=-1", "num=0", "mask=-1", "scale_x_y=0", "scale_x_y=-1.05", "scale_x_y=NaN",
        "scale_x_y=inf", "new_coords=2", "anchors=0,10", "anchors=1e9,10",
    ],
    "region": ["classes=0", "num=-5", "softmax=5", "anchors=1,nan", "coords=3"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "lines"), [(kind, text) for kind, texts in OUT_OF_BOUNDS.items() for text in texts]
)
def test_values_without_meaning_are_refused_at_their_line(kind: str, lines: str) -> None:
    front = "" if kind == "net" else "[net]\n[dropout]\n"
    text = f"{front}[{kind}]\n{lines}\n"
    with pytest.raises(CfgError) as caught:
        parse_cfg(text, "small.cfg")
    key = lines.splitlines()[-1].partition("=")[0]
    assert str(caught.value).startswith(f"small.cfg:{len(text.splitlines())}: [{kind}] {key}=")
    assert any(word in str(caught.value) for word in ("expected", "only", "larger than"))


def test_a_pool_without_a_size_is_printed_without_one() -> None:
    """Darknet takes the stride then; a printed size=0 would be a window of nothing."""
    network = parse_cfg("[net]\n[maxpool]\nstride=2\n")
    assert network.to_cfg().endswith("[maxpool]\nstride=2\n")
    pool = network.layers[0]
    assert isinstance(pool, MaxPool)
    assert pool.kernel_px == 2


def test_files_that_are_no_cfg(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match=r"absent\.cfg: there is no such file"):
        read_cfg(tmp_path / "absent.cfg")
    (tmp_path / "binary.cfg").write_bytes(b"\x00\x00\x00\x00\x02\x00\x00\x00")
    with pytest.raises(CfgError, match="cannot be read as text"):
        read_cfg(tmp_path / "binary.cfg")
    for text in ("", "# nothing\n", "[net]\n"):
        with pytest.raises(CfgError, match=r"starts with a \[net\]|has no layers"):
            parse_cfg(text)
    with pytest.raises(CfgError, match="4097 layers are more than the 4096"):
        parse_cfg("[net]\n" + "[dropout]\n" * 4097)
    with pytest.raises(CfgError, match="4194305 characters are more than the 4194304"):
        parse_cfg(" " * (2**22 + 1))


PIECES = st.sampled_from(
    [
        *SMALL.splitlines(),
        *(f"[{name}]" for name in SECTION_TYPES),
        "from=-1",
        "groups=3",
        "stride=-2",
        "=",
        "[]",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=40).map("\n".join))
def test_any_text_gives_a_network_or_a_cfg_error(text: str) -> None:
    try:
        network = parse_cfg("[net]\n" + text)
    except CfgError:
        return
    assert parse_cfg(network.to_cfg()) == network


def test_training_keys_are_kept_in_order() -> None:
    text = "[net]\nlearning_rate=.1\npolicy=steps\n[dropout]\nprobability=.5\ndropblock=1\n"
    network = parse_cfg(text)
    assert network.net.extras == (("learning_rate", ".1"), ("policy", "steps"))
    assert network.layers == (Dropout(extras=(("probability", ".5"), ("dropblock", "1"))),)


def test_real_cfgs_survive_printing(shared_data: Path) -> None:
    paths = sorted((shared_data / "darknet").glob("*.cfg"))
    assert len(paths) == 5
    for path in paths:
        network = read_cfg(path)
        assert parse_cfg(network.to_cfg()) == network
