"""Every section of a cfg stands in every table that must know it: a forgotten one fails here."""

from __future__ import annotations

import inspect

import pytest

from seyolo.darknet.cfg import SECTION_TYPES
from seyolo.darknet.sections import SECTIONS, Section
from seyolo.pruning.groups.rules import RULES
from seyolo.torchnet.layers import LAYERS
from seyolo.translation import WRITERS


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_a_layer_onnx_nodes_and_a_channel_rule(section: type[Section]) -> None:
    assert section in LAYERS
    assert section in WRITERS
    assert section in RULES
    assert not inspect.isabstract(section)


def test_the_tables_name_sections_alone() -> None:
    assert set(LAYERS) == set(WRITERS) == set(RULES) == set(SECTIONS)


def test_every_section_is_read_from_a_cfg() -> None:
    assert set(SECTIONS) <= set(SECTION_TYPES.values())
