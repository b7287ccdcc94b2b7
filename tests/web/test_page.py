"""The page in a real browser: images and the camera in, boxes out, and the console stays empty."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import subprocess
import sys
import time
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


def shown_pixels(tab: Tab) -> np.ndarray:
    shown = base64.b64decode(tab.value("document.querySelector('canvas').toDataURL().split(',')[1]"))
    return np.asarray(cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR))


def test_boxes_are_drawn_where_they_were_found(tab: Tab, photo: Path) -> None:
    show(tab, photo)
    pixels = shown_pixels(tab)
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


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with the spot on the left, then two with the spot on the right, in a format of browsers."""
    av = pytest.importorskip("av", reason="needs PyAV, which supervision brings")
    path = tmp_path_factory.mktemp("clip") / "spots.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(spot_image([SPOTS[number // 20]]), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def wait_for_left_edge(tab: Tab, expected_px: float) -> None:
    """Until what is drawn in the colour of the class begins there, in pixels of the clip."""
    end = time.monotonic() + 60
    while True:
        columns = np.nonzero((shown_pixels(tab) == (0x69, 0xFF, 0x1E)).all(axis=2))[1]
        if len(columns) and abs(columns.min() * 64 / shown_pixels(tab).shape[1] - expected_px) < 2:
            return
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_video_plays_pauses_and_jumps(tab: Tab, clip: Path) -> None:
    tab.choose_file("#file", clip)
    tab.until("document.querySelector('.runs')?.textContent.endsWith(' images/s')")
    tab.until("document.querySelector('.times').textContent.startsWith('median of ')")
    assert not tab.value("document.querySelector('#player').hidden")
    tab.until("document.querySelector('#play').textContent === 'Play'")  # at its end
    assert re.fullmatch(r"0:0[34] / 0:04", tab.texts("#time")[0])
    left, right = ((column + 0.5) * 4 - 20 for column, _ in SPOTS)
    wait_for_left_edge(tab, right)
    tab.value("document.querySelector('#position').value = 1")
    tab.value("document.querySelector('#position').dispatchEvent(new Event('input'))")
    wait_for_left_edge(tab, left)
    asked = tab.value(f"new Promise(resolve => setTimeout(() => resolve({NUM_ASKED}), 1000))")
    assert tab.value(f"new Promise(resolve => setTimeout(() => resolve({NUM_ASKED}), 1000))") == asked
    tab.click("#play")
    tab.until("document.querySelector('#play').textContent === 'Pause'")
    tab.until(f"{NUM_ASKED} > {asked}")


def test_an_image_ends_the_video(tab: Tab, clip: Path, photo: Path) -> None:
    tab.choose_file("#file", clip)
    tab.until("document.querySelector('.runs')?.textContent.endsWith(' images/s')")
    show(tab, photo)
    assert tab.value("document.querySelector('#player').hidden")
    tab.until("document.querySelector('#status').textContent === 'dense: 2 × spot · slim: 2 × spot'")
    assert tab.texts(".times") == ["", ""]


def test_a_video_that_cannot_be_played_is_said(tab: Tab) -> None:
    bring(tab, "drop", b"no video", "video/mp4")
    tab.until("!document.querySelector('#error').hidden")
    assert tab.texts("#error") == ["This is not a video the browser can play."]
    tab.complaints.clear()  # of the browser about the video


def test_the_sample_image_is_one_click_away(tab: Tab) -> None:
    tab.click("#sample")
    tab.until(ALL_ANSWERED)
    assert tab.value("document.querySelector('canvas').width / document.querySelector('canvas').height") == (
        pytest.approx(640 / 480, abs=0.01)
    )
    assert tab.value("document.querySelector('#try').hidden")


SAVED = """new Promise((resolve) => {
  const create = URL.createObjectURL;
  URL.createObjectURL = (blob) => {
    URL.createObjectURL = create;
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(blob);
    return create(blob);
  };
  HTMLAnchorElement.prototype.click = function () { document.body.dataset.saved = this.download; };
  document.querySelector('[data-kind="KIND"]').click();
})"""
"""The content of a file that the page gives to save, whose name is then in `data-saved`."""


def saved(tab: Tab, kind: str) -> bytes:
    content = base64.b64decode(tab.value(SAVED.replace("KIND", kind)))
    assert tab.value("document.body.dataset.saved") == f"spots-dense.{kind}"
    return content


def test_what_is_shown_can_be_saved(tab: Tab, photo: Path) -> None:
    show(tab, photo)
    found = json.loads(saved(tab, "json"))
    assert (found["model"], found["width"], found["height"]) == ("dense", 64, 64)
    assert [one["name"] for one in found["detections"]] == ["spot"] * 2
    rows = list(csv.DictReader(io.StringIO(saved(tab, "csv").decode())))
    for row, one in zip(rows, found["detections"], strict=True):
        assert [float(row[side]) for side in ("left", "top", "right", "bottom")] == one["box"]
        assert (row["name"], int(row["class_id"]), float(row["score"])) == ("spot", 0, one["score"])
    image = cv2.imdecode(np.frombuffer(saved(tab, "jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (64, 64, 3)
    assert np.ptp(image.astype(int), axis=2).max() > 100  # boxes in colour on an image that has only greys
    # Only what the slider leaves is saved.
    tab.value("document.querySelector('#confidence').focus()")
    tab.press("End")
    tab.until("document.querySelector('#shown').textContent === '0.95'")
    assert len(json.loads(saved(tab, "json"))["detections"]) == 1


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
