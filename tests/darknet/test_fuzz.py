"""Thousands of broken descriptions and weights: only our own errors come out, soon and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.darknet.cfg import SECTION_TYPES, Network, parse_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.graph import detection_layers, shapes
from seyolo.darknet.weights import read_weights, tensor_shapes
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import CfgError, WeightsError
from seyolo.pruning.groups.groups import find_groups

LONGEST_S = 5.0
LARGEST_BYTES = 200_000_000

TEXT = network_from_name("se-yolov3-tiny@0.25", 2).to_cfg()
LINES = TEXT.splitlines()
NUMBERS = ("0", "1", "-1", "-3", "7", "999999", "16777216", "1e9", "nan", "", "1,2,3", "-1,-1,-1", "x")
SECTIONS = tuple(f"[{name}]" for name in SECTION_TYPES)
KEYS = ("stride=4096", "groups=5", "size=4097", "filters=16777216", "from=-2", "layers=0", "padding=99999")

edits = st.tuples(
    st.integers(0, len(LINES) - 1),
    st.sampled_from(["delete", "double", "number", "section", "key", "swap"]),
    st.integers(0, 99),
)


def mutated(changes: list[tuple[int, str, int]]) -> str:
    lines = list(LINES)
    for place, kind, choice in changes:
        line = lines[place]
        key = line.partition("=")[0]
        lines[place] = {
            "delete": "",
            "double": f"{line}\n{line}",
            "number": f"{key}={NUMBERS[choice % len(NUMBERS)]}",
            "section": SECTIONS[choice % len(SECTIONS)],
            "key": f"{line}\n{KEYS[choice % len(KEYS)]}",
            "swap": LINES[choice % len(LINES)],
        }[kind]
    return "\n".join(lines)


def use(text: str) -> Network:
    """All that is computed from a description before anything is built."""
    network = parse_cfg(text, "fuzz.cfg")
    shapes(network)
    cost(network)
    detection_layers(network)
    find_groups(network)
    return network


@settings(max_examples=1500)
@given(st.lists(edits, min_size=1, max_size=4))
def test_mutated_descriptions_work_or_say_where_they_are_wrong(changes: list[tuple[int, str, int]]) -> None:
    start = time.thread_time()
    try:
        network = use(mutated(changes))
    except CfgError as error:
        assert str(error).startswith("fuzz.cfg")  # noqa: PT017
    else:
        assert parse_cfg(network.to_cfg()) == network
    assert time.thread_time() - start < LONGEST_S


def net(layers: str, size: int = 64) -> str:
    return f"[net]\nwidth={size}\nheight={size}\n{layers}"


@pytest.mark.parametrize(
    "text",
    [
        net("[convolutional]\nfilters=16777216\nsize=9999\n" * 3),
        net("[convolutional]\nfilters=1000000\nsize=1\n" * 9, size=16777216),
        net("[upsample]\nstride=4096\n" * 9),
        net("[convolutional]\nfilters=64\n" + "[route]\nlayers=-1,-1,-1,-1\n" * 40),
        net("[convolutional]\nfilters=1024\n" + "[reorg3d]\nstride=8\n" * 2, size=64),
        net("[implicit]\nfilters=16777216\n" * 90),
    ],
)
def test_terabytes_are_refused_before_anything_is_allocated(text: str) -> None:
    tracemalloc.start()
    start = time.thread_time()
    with pytest.raises(CfgError):
        use(text)
    assert time.thread_time() - start < LONGEST_S
    assert tracemalloc.get_traced_memory()[1] < LARGEST_BYTES
    tracemalloc.stop()


SMALL = parse_cfg(
    net(
        "[convolutional]\nbatch_normalize=1\nfilters=4\n[convolutional]\nfilters=4\n"
        "[shortcut]\nfrom=-2\nweights_type=per_channel\n[implicit]\nfilters=4\n[scale_channels]\nfrom=-2\n"
    ),
    "small.cfg",
)


@settings(max_examples=1500)
@given(head=st.binary(max_size=24), num_zeros=st.integers(0, 260), tail=st.binary(max_size=8))
def test_any_bytes_are_weights_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, num_zeros: int, tail: bytes
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "fuzz.weights"
    path.write_bytes(head + bytes(num_zeros) + tail)
    try:
        state = read_weights(path, SMALL)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert state.keys() == tensor_shapes(SMALL).keys()
