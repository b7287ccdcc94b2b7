"""The page in a real browser: images and the camera in, boxes out, and the console stays empty."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import seyolo
from helpers.browser import Tab
from helpers.spot_detector import spot_detector, spot_image
from seyolo.web.app import PAGE

SPOTS = [(6, 8), (10, 8)]
DIM = 0.55
"""The brightness of the second spot, which lowers its score."""
LATENCIES = "[...document.querySelectorAll('.latency')].map(element => element.textContent)"
ALL_ANSWERED = f"{LATENCIES}.length && {LATENCIES}.every(text => text.endsWith(' ms'))"
NUM_ASKED = "performance.getEntriesByType('resource').filter(entry => entry.name.includes('/detect')).length"


def test_the_page_asks_nobody_else_for_anything() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in PAGE.iterdir()}
    assert set(files) == {"index.html", "page.css", "page.js", "detector.js", "icon.svg"}
    assert set(re.findall(r"\w+://[^\s\"']*", "".join(files.values()))) == {"http://www.w3.org/2000/svg"}
    named = re.findall(r'(?:src|href)="([^"]*)"', files["index.html"])
    assert {name.removeprefix("page/") for name in named} == set(files) - {"index.html", "detector.js"}
    assert 'import("./detector.js")' in files["page.js"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with two models that find spots."""
    folder = tmp_path_factory.mktemp("models")
    model = spot_detector()
    model.names = ("spot",)
    models = [folder / "dense.onnx", folder / "slim.onnx"]
    for path in models:
        seyolo.export(model, path)
    line = [sys.executable, "-m", "seyolo", "serve", *map(str, models), "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline().split()[-3]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "spots.png"
    cv2.imwrite(str(path), two_spots())
    return path


def two_spots() -> np.ndarray:
    """A bright one and a dimmer one, on black."""
    bright, dim = (spot_image([spot]) for spot in SPOTS)
    return np.maximum(bright, (DIM * dim).astype(np.uint8))


def show(tab: Tab, photo: Path) -> None:
    tab.choose_file("#file", photo)
    tab.until(ALL_ANSWERED)


def test_both_models_are_shown_side_by_side_with_their_latencies(tab: Tab, photo: Path) -> None:
    assert tab.texts("figure") == []
    show(tab, photo)
    assert tab.texts("h2") == ["dense", "slim"]
    assert tab.texts(".runs") == ["64 × 64 px, onnxruntime"] * 2
    scores = [re.findall(r"^spot (0\.\d\d|1\.00)$", text) for text in tab.texts("li")]
    assert [len(found) for found in scores] == [1] * 4
    assert tab.value("document.querySelector('canvas').ariaLabel") == "the image with 2 × spot"
    tab.until("document.querySelector('#status').textContent === 'dense: 2 × spot · slim: 2 × spot'")


def test_boxes_are_drawn_where_they_were_found(tab: Tab, photo: Path) -> None:
    show(tab, photo)
    shown = base64.b64decode(tab.value("document.querySelector('canvas').toDataURL().split(',')[1]"))
    pixels = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
    # The first class is drawn in #1eff69, over an image that has only greys.
    rows, columns = np.nonzero((pixels == (0x69, 0xFF, 0x1E)).all(axis=2))
    scale = len(pixels) / 64
    # Boxes of 40 pixels around the centres of cells of 4; one reaches 2 pixels out of the image's side.
    left, right = (SPOTS[0][0] + 0.5) * 4 - 20, (SPOTS[1][0] + 0.5) * 4 + 20
    bottom = (SPOTS[0][1] + 0.5) * 4 + 20
    assert columns.min() / scale == pytest.approx(left, abs=1)
    assert (columns.max() + 1) / scale == pytest.approx(right, abs=1)
    assert (rows.max() + 1) / scale == pytest.approx(bottom, abs=1)


def test_the_slider_filters_without_asking_again(tab: Tab, photo: Path) -> None:
    show(tab, photo)
    tab.value("document.querySelector('#confidence').focus()")
    for key, shown, num_spots in (("End", "0.95", 2), ("Home", "0.05", 4)):
        tab.press(key)
        assert tab.texts("#shown") == [shown]
        assert len(tab.texts("li")) == num_spots
    assert tab.value(NUM_ASKED) == 2


def test_keys_choose_the_model(tab: Tab, photo: Path) -> None:
    show(tab, photo)
    order = []
    for _ in range(4):
        tab.press("Tab")
        order.append(tab.value("document.activeElement.id || document.activeElement.name"))
    assert order == ["choose", "camera", "model", "confidence"]
    tab.value("document.querySelector('#options :checked').focus()")
    tab.press("ArrowLeft")
    assert tab.texts("h2") == ["slim"]
    tab.press("ArrowLeft")
    assert tab.texts("h2") == ["dense"]


DROPPED = """(() => {{
  const bytes = Uint8Array.from(atob("{content}"), letter => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "x", {{type: "{kind}"}}));
  document.body.dispatchEvent(new {event}("{name}", {{bubbles: true, cancelable: true, {field}: data}}));
}})()"""
EVENTS = {"drop": ("DragEvent", "dataTransfer"), "paste": ("ClipboardEvent", "clipboardData")}


def bring(tab: Tab, how: str, content: bytes, kind: str) -> None:
    event, field = EVENTS[how]
    encoded = base64.b64encode(content).decode()
    tab.value(DROPPED.format(content=encoded, kind=kind, event=event, name=how, field=field))


@pytest.mark.parametrize("how", EVENTS)
@pytest.mark.parametrize("kind", ["image/png", "image/bmp"])
def test_images_are_dropped_and_pasted(tab: Tab, how: str, kind: str) -> None:
    """A BMP is nothing the server takes: the page makes it a JPEG."""
    ending = kind.replace("image/", ".")
    bring(tab, how, bytes(cv2.imencode(ending, two_spots())[1]), kind)
    tab.until(ALL_ANSWERED)
    assert len([text for text in tab.texts("li") if text.startswith("spot")]) == 4


def test_what_is_no_image_is_said_and_the_page_lives_on(tab: Tab, photo: Path) -> None:
    bring(tab, "drop", b"hello", "text/plain")
    tab.until("!document.querySelector('#error').hidden")
    assert tab.texts("#error") == ["This is not an image the browser can show."]
    show(tab, photo)
    assert tab.value("document.querySelector('#error').hidden")


def test_the_camera_runs_until_it_is_stopped(tab: Tab) -> None:
    tab.click("#camera")
    tab.until("document.querySelector('.runs')?.textContent.endsWith(' images/s')")
    assert tab.texts("#camera") == ["Stop the camera"]
    assert all(re.fullmatch(r"\d+(\.\d)? ms", text) for text in tab.texts(".latency"))
    tab.click("#camera")
    assert tab.texts("#camera") == ["Use the camera"]
    asked = tab.value(f"new Promise(resolve => setTimeout(() => resolve({NUM_ASKED}), 1000))")
    assert tab.value(f"new Promise(resolve => setTimeout(() => resolve({NUM_ASKED}), 1000))") == asked


@pytest.mark.parametrize("width_px", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(tab: Tab, photo: Path, width_px: int) -> None:
    tab.call(
        "Emulation.setDeviceMetricsOverride", width=width_px, height=800, deviceScaleFactor=2, mobile=False
    )
    try:
        show(tab, photo)
        assert tab.value("document.documentElement.scrollWidth") <= width_px
        assert tab.value("document.querySelector('canvas').width") % 2 == 0
    finally:
        tab.call("Emulation.clearDeviceMetricsOverride")
