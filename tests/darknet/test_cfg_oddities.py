"""Cfg files as people have them: what Darknet makes of each oddity, or one line that names it."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from seyolo.darknet.cfg import Network, parse_cfg, read_cfg
from seyolo.darknet.graph import num_classes, shapes
from seyolo.darknet.sections import Convolutional, MaxPool, Yolo
from seyolo.errors import CfgError

SMALL = """\
[net]
batch=1
width=64
height=32
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


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """A warning is an error unless a test expects it; each is one that was not shown before."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def read(tmp_path: Path, data: bytes | str) -> Network:
    path = tmp_path / "odd.cfg"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_cfg(path)


COMMENTED = "# {}\n" + SMALL.replace("[maxpool]", "# {}\n[maxpool]").replace("size=2", "size=2 # {}")
CODE_PAGES = {
    "utf-8": "обучено, 训练, é",
    "utf-8-sig": "обучено, 训练, é",
    "utf-16": "обучено, 训练, é",
    "latin-1": "entraîné à l'été",
    "cp1251": "обучено… для двух",
    "cp1252": "trained… with “quotes”",
    "gbk": "训练吉丁用的网络",
    "shift_jis": "学習ソ表",
    "big5": "訓練功許",
    "euc-kr": "학습",
}


@pytest.mark.parametrize("encoding", CODE_PAGES)
def test_comments_may_be_in_any_code_page(tmp_path: Path, encoding: str) -> None:
    words = CODE_PAGES[encoding]
    network = read(tmp_path, COMMENTED.format(words, words, words).encode(encoding))
    assert network == parse_cfg(SMALL)
    assert network.layers[1].line == 17  # a byte 0x85 ends no line
    printed = network.to_cfg()
    assert parse_cfg(printed).to_cfg() == printed
    if encoding.startswith("utf"):
        assert f"# {words}\n[net]\n" in printed


def test_byte_order_marks_are_no_text(tmp_path: Path) -> None:
    assert read(tmp_path, codecs.BOM_UTF8 + SMALL.encode()) == parse_cfg(SMALL)
    assert parse_cfg("\ufeff" + SMALL) == parse_cfg(SMALL)
    head, tail = SMALL.split("[yolo]")
    joined = codecs.BOM_UTF8 + head.encode() + codecs.BOM_UTF8 + b"[yolo]" + tail.encode()
    assert read(tmp_path, joined) == parse_cfg(SMALL)  # two files one behind the other


SAME = {
    "spaces and tabs around everything": SMALL.replace("=", " \t= ").replace("[", "  [").replace("\n", " \n"),
    "line ends of Windows": SMALL.replace("\n", "\r\n"),
    "line ends of old Macs": SMALL.replace("\n", "\r"),
    "no last line end": SMALL.rstrip("\n"),
    "empty lines": SMALL.replace("\n", "\n\n\n"),
    "comments of both kinds": SMALL.replace("filters=8", "; eight\n#filters=16\nfilters=8"),
    "comments behind numbers": SMALL.replace("filters=8", "filters=8 # eight").replace("num=2", "num=2;two"),
    "a comment behind a section": SMALL.replace("[maxpool]", "[maxpool] # half"),
    "a whole number with a point": SMALL.replace("stride=2", "stride=2.0").replace("size=3", "size=3."),
    "a sign": SMALL.replace("filters=8", "filters=+8"),
    "the same key twice": SMALL.replace("filters=8", "filters=8\nfilters=8"),
    "[conv]": SMALL.replace("[convolutional]", "[conv]"),
    "[network]": SMALL.replace("[net]", "[network]"),
    "[max]": SMALL.replace("[maxpool]", "[max]"),
    "upper case in a section": SMALL.replace("[convolutional]", "[Convolutional]"),
    "spaces in a section": SMALL.replace("[yolo]", "[ yolo ]"),
    "commas at the end of a list": SMALL.replace("mask=0,1", "mask=0,1,").replace("16.5,30", "16.5,30,"),
    "no mask": SMALL.replace("mask=0,1\n", ""),
    "anchors with points": SMALL.replace("10,13", "10.0,13.00"),
    "a training key twice": SMALL.replace("jitter=.3", "jitter=.3\njitter=.3"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_what_darknet_reads_alike_is_read_alike(tmp_path: Path, text: str) -> None:
    network, plain = read(tmp_path, text), parse_cfg(SMALL)
    assert shapes(network) == shapes(plain)
    assert network.net == plain.net
    for section, other in zip(network.layers, plain.layers, strict=True):
        if isinstance(section, Yolo) and isinstance(other, Yolo):
            assert section.masked_anchors == other.masked_anchors
        else:
            assert section == other
    assert parse_cfg(network.to_cfg()) == network


def test_what_is_left_out_is_as_in_darknet(tmp_path: Path) -> None:
    network = read(tmp_path, SMALL.replace("activation=leaky\n", "").replace("size=2\nstride=2", "stride=2"))
    conv, pool = network.layers[:2]
    assert isinstance(conv, Convolutional)
    assert conv.activation == "logistic"
    assert isinstance(pool, MaxPool)
    assert pool.kernel_px == 2
    more = read(tmp_path, SMALL.replace("16.5,30", "16.5,30, 50,60"))
    assert isinstance(more.layers[-1], Yolo)
    assert more.layers[-1].masked_anchors == ((10, 13), (16.5, 30))


REFUSED = {
    "two values": ("filters=8", "filters=8\nfilters=16", 10, "filters= stands twice with different values"),
    "a broken number": ("stride=2", "stride=2.5", 11, "stride=2.5: expected a whole number"),
    "spaces in a number": ("filters=8", "filters=1 6", 9, "expected a whole number"),
    "units": ("width=64", "width=64px", 3, "width=64px: expected a whole number"),
    "no value": ("filters=8", "filters=", 9, "filters=: expected a whole number"),
    "no size": ("width=64", "width=0", 3, "width=0: expected at least 1"),
    "no equals sign": ("filters=8", "filters 8", 9, "expected key=value, got 'filters 8'"),
    "upper case in a key": ("filters=8", "Filters=8", 9, "has no key 'Filters'; did you mean 'filters'?"),
    "a typo in a layer": ("filters=8", "fliters=8", 9, "has no key 'fliters'; did you mean 'filters'?"),
    "a typo in a width": ("width=64", "widht=64", 3, "[net] has no key 'widht'; did you mean 'width'?"),
    "another width": ("height=32", "heigth=32", 4, "[net] has no key 'heigth'; did you mean 'height'?"),
    "an unknown section": ("[maxpool]", "[short_cut]", 15, "section [short_cut] is not supported"),
    "an empty section": ("[maxpool]", "[]", 15, "section [] is not supported"),
    "an open section": ("[maxpool]", "[maxpool", 15, "a section name ends with ']'"),
    "no activation": ("=leaky", "=leakyrelu", 13, "activation=leakyrelu: expected one of"),
    "fewer anchors": ("10,13, 16.5,30", "10,13", 24, "num=2 needs 4 numbers in anchors=, got 2"),
    "a mask too far": ("mask=0,1", "mask=3,4", 24, "names anchors beyond num=2"),
    "odd anchors": ("16.5,30", "16.5,30,7", 24, "anchors= are pairs"),
    "digits of another script": ("filters=8", "filters=٨", 9, "expected a whole number"),
    "a key in front": ("[net]", "size=1\n[net]", 1, "a key stands in front of the first section"),
    "[net] inside": ("[maxpool]", "[net]", 15, "[net] stands once, at the top"),
}


@pytest.mark.parametrize(("old", "new", "line", "text"), REFUSED.values(), ids=REFUSED)
def test_the_rest_is_refused_in_one_line(tmp_path: Path, old: str, new: str, line: int, text: str) -> None:
    with pytest.raises(CfgError) as caught:
        read(tmp_path, SMALL.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'odd.cfg'}:{line}: ")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_and_classes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CfgError, match=r"odd\.cfg:1: an image width of 66 is no multiple of 4.*take 64 or 68"
    ):
        shapes(read(tmp_path, SMALL.replace("width=64", "width=66")))
    head = "[convolutional]\nfilters=16\nsize=1\n[yolo]\nanchors=1,1,2,2\nnum=2\nclasses=3\n"
    two = f"{SMALL}[route]\nlayers=-2\n{head}"
    with pytest.raises(CfgError, match=r"odd\.cfg:\d+: .*classes=3, but layer 3 has classes=2"):
        num_classes(read(tmp_path, two))


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("mosiac=1", "; did you mean 'mosaic'?"),
        ("flip_vertical=1", ""),
        ("//batch=64", "; did you mean 'batch'?"),
        ("Learning_rate=.1", "; did you mean 'learning_rate'?"),
        ("width_=64", "; did you mean 'width'?"),
        ("x=", ""),
    ],
)
def test_unknown_keys_of_net_warn_and_are_kept(tmp_path: Path, line: str, hint: str) -> None:
    key, _, value = line.partition("=")
    text = SMALL.replace("channels=3", f"channels=3\n{line}")
    with pytest.warns(UserWarning, match="has no key") as shown:
        network = read(tmp_path, text)
    (warning,) = shown
    expected = (
        f"{tmp_path / 'odd.cfg'}:6: [net] has no key {key!r}{hint}; it has no effect here or in Darknet"
    )
    assert str(warning.message) == expected
    assert (key, value) in network.net.extras
    printed = network.to_cfg()
    assert f"\n{line}\n" in printed
    assert parse_cfg(printed) == network  # a checkpoint holds the text and does not warn


def test_a_comment_behind_a_name_is_part_of_it_in_darknet(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match="odd.cfg:13: Darknet takes the comment behind activation=leaky for a"
    ):
        network = read(tmp_path, SMALL.replace("=leaky", "=leaky # 0.1"))
    assert network == parse_cfg(SMALL)


UNSUPPORTED = {
    "[Gaussian_yolo]": ("[yolo]", "[Gaussian_yolo]", "[gaussian_yolo] (Gaussian YOLOv3) is not supported"),
    "[contrastive]": ("[yolo]", "[contrastive]\n[yolo]", "(contrastive learning) is not supported"),
    "[yolo] from=": ("mask=0,1", "from=1", "from=1 is not supported: a [yolo] that reads another layer"),
    "share_index": ("filters=14", "share_index=0", "only share_index=-1000000000: weights shared"),
    "antialiasing": ("filters=14", "antialiasing=1", "only antialiasing=0: a blur behind"),
    "xnor": ("filters=14", "xnor=1", "only xnor=0: binary weights"),
    "yolo9000": ("[yolo]\nmask=0,1", "[region]\ntree=9k.tree", "tree=9k.tree is not supported: the tree of"),
    "[connected]": ("[yolo]", "[connected]\n[yolo]", "(a classification layer) is not supported"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "text"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_the_real_reason_comes_first(old: str, new: str, text: str) -> None:
    """The mistake of another kind in front of it, and the unknown section behind it, are not named."""
    cfg = SMALL.replace("filters=8", "fliters=8").replace(old, new) + "[no_section]\n"
    with pytest.raises(CfgError) as caught:
        parse_cfg(cfg, "odd.cfg")
    assert text in str(caught.value)


def test_a_weights_file_is_no_cfg(tmp_path: Path) -> None:
    with pytest.raises(
        CfgError, match=r"cannot be read as text: it holds zero bytes; is it a \.weights file"
    ):
        read(tmp_path, b"\0\0\0\0\2\0\0\0\5\0\0\0" * 10)


def test_the_cases_are_read(shared_cases: Path) -> None:
    folder = shared_cases / "darknet"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        networks = {path.name: read_cfg(path) for path in sorted(folder.rglob("*.cfg"))}
    assert len(networks) > 15
    assert networks["bom.cfg"] == networks["base.cfg"]
    assert all(shapes(network) for network in networks.values())


@pytest.mark.parametrize(
    "key", ["stopbackward=1", "onlyforward=1", "learning_rate=0.1", "clip=2", "dont_update=1"]
)
def test_training_keys_of_every_layer_are_kept(key: str) -> None:
    for name in ("convolutional", "maxpool", "yolo"):
        network = parse_cfg(SMALL.replace(f"[{name}]\n", f"[{name}]\n{key}\n", 1))
        assert f"\n{key}\n" in network.to_cfg()
    for layer in (
        "[upsample]\n",
        "[shortcut]\nfrom=0\n",
        "[route]\nlayers=0\n",
        "[dropout]\n",
        "[avgpool]\n",
    ):
        network = parse_cfg(f"[net]\n[dropout]\n{layer}{key}\n")
        assert parse_cfg(network.to_cfg()) == network
