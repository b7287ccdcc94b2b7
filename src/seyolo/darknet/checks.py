"""What the keys of one section must hold together; what depends on its neighbours is the graph's."""

from __future__ import annotations

from collections.abc import Iterator

from seyolo.darknet.sections import (
    Cbam,
    Detection,
    LocalAvgPool,
    MaxPool,
    Region,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
)


def contradictions(section: Section) -> Iterator[str]:
    """What is wrong with a section whose keys are each within their bounds, and what would be right."""
    if isinstance(section, Route | Shortcut | ScaleChannels | Sam):
        yield from _of_references(section)
    if isinstance(section, Cbam) and section.size % 2 == 0:
        yield f"size={section.size} must be odd"
    if isinstance(section, MaxPool | LocalAvgPool):
        yield from _of_window(section)
    if isinstance(section, Detection):
        yield from _of_detection(section)


def _of_references(section: Route | Shortcut | ScaleChannels | Sam) -> Iterator[str]:
    if not section.references():
        yield f"needs {'layers' if isinstance(section, Route) else 'from'}="
    if isinstance(section, ScaleChannels | Sam) and len(section.references()) > 1:
        yield "takes one layer in from="
    if isinstance(section, Route) and section.group_id >= section.groups:
        yield f"group_id={section.group_id} is not below groups={section.groups}"
    if isinstance(section, Shortcut):
        is_plain = section.weights_type == "none"
        if is_plain and section.weights_normalization != "none":
            yield "weights_normalization= needs a weights_type="


def _of_window(section: MaxPool | LocalAvgPool) -> Iterator[str]:
    most = 2 * (section.kernel_px - 1)
    if section.padding_px > most:
        message = f"padding={section.padding} leaves windows of size={section.kernel_px} without a pixel"
        yield f"{message}; at most {most} (both sides together)"


def _of_detection(section: Detection) -> Iterator[str]:
    count = len(section.anchors)
    if count < 2 * section.num:
        yield f"num={section.num} needs {2 * section.num} numbers in anchors=, got {count}"
    if count % 2:
        yield f"anchors= are pairs of width and height, got {count} numbers"
    if isinstance(section, Region):
        if not section.softmax:
            yield "is only supported with softmax=1"
        return
    text = ",".join(map(str, section.mask))
    if any(number >= section.num for number in section.mask):
        yield f"mask={text} names anchors beyond num={section.num}; they count from 0"
    if len(set(section.mask)) < len(section.mask):
        yield f"mask={text} names an anchor twice"
