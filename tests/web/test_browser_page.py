"""The page that runs the model itself: the same boxes as Python, and no image leaves the browser."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest

import seyolo
from helpers.browser import Tab
from helpers.spot_detector import spot_detector, spot_image
from seyolo.commands.serve import serve
from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.letterbox import Fit, place
from seyolo.options.detect import ServeOptions
from seyolo.runtime.shipped import model_path
from seyolo.web.app import PAGE
from seyolo.web.browser import FILES, PACKAGE, runtime_folder

RUNTIME = Path(os.environ.get("SEYOLO_ONNXRUNTIME_WEB", "build/node_modules/onnxruntime-web")).absolute()
EXAMPLE = Path(__file__).parents[2] / "examples/web/index.html"
NUM_SENT = "performance.getEntriesByType('resource').filter(entry => entry.name.includes('/detect?')).length"
needs_runtime = pytest.mark.skipif(
    not RUNTIME.is_dir(), reason=f"needs {PACKAGE} in {RUNTIME}: make build/node_modules"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service for browsers, with the spot detector as `letterbox`, and `hand`."""
    folder = tmp_path_factory.mktemp("models")
    model = spot_detector()
    model.names = ("spot",)
    seyolo.export(model, folder / "letterbox.onnx")
    line = [sys.executable, "-m", "seyolo", "serve", str(folder / "letterbox.onnx"), "hand", "--port", "0"]
    with subprocess.Popen([*line, "--browser", str(RUNTIME)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline().split()[-3]
        finally:
            process.terminate()


@needs_runtime
def test_the_page_shows_the_boxes_and_sends_no_image(tab: Tab, tmp_path: Path) -> None:
    photo = tmp_path / "spots.png"
    cv2.imwrite(str(photo), spot_image([(6, 8), (10, 8)]))
    assert tab.texts("#promise") == ["It stays in this browser."]
    tab.choose_file("#file", photo)
    tab.until("document.querySelector('#status').textContent.startsWith('letterbox: 2 × spot · hand: ')")
    assert tab.texts(".runs")[0] == "64 × 64 px, onnxruntime-web"
    assert tab.texts(".more")[0].startswith("in this browser; decoding ")
    assert tab.value(NUM_SENT) == 0
    assert tab.value("crossOriginIsolated")  # which threads of WebAssembly need


@needs_runtime
def test_the_camera_runs_in_the_browser(tab: Tab) -> None:
    tab.click("#camera")
    tab.until("document.querySelector('.runs')?.textContent.endsWith(' images/s')")
    tab.click("#camera")
    assert tab.value(NUM_SENT) == 0


# What the tests below call: an image of the PNG, our module, and the runtime as the page sets it up.
PREPARED = """(async () => {{
  const {{ Detector, fit, pixelsOf, candidates, suppress }} = await import("/page/detector.js");
  const bytes = Uint8Array.from(atob("{content}"), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]), {{ colorSpaceConversion: "none" }});
  {code}
}})()"""


def run(tab: Tab, image: np.ndarray, code: str) -> Any:
    content = base64.b64encode(bytes(cv2.imencode(".png", image)[1])).decode()
    return tab.value(PREPARED.format(content=content, code=code))


def noisy(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@needs_runtime
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize(
    "size",
    [(96, 96), (60, 100), (100, 37), (97, 201), (300, 500), (480, 640), (1000, 3), (1, 1), (801, 1203)],
)
def test_images_are_fitted_as_in_python(
    size: tuple[int, int], channels: int, mode: Literal["letterbox", "stretch"], tab: Tab
) -> None:
    """By a level of 255 at most where the image is resized, and exactly where it is not."""
    image = noisy(*size)
    how = Fit((96, 128), mode, 127.5, channels)
    (expected,), _ = how.batch([image])
    network = {"input_size": how.size, "letterbox": mode, "pad_value": how.pad_value}
    code = f"return Array.from(fit(pixelsOf(image, {channels}), {json.dumps(network)}).input)"
    actual = np.array(run(tab, image, code), np.float32).reshape(expected.shape)
    most = 2 if channels == 1 else 1  # grey rounds once more
    assert np.abs(actual - expected).max() * 255 <= (most + 1e-3)
    assert np.abs(actual - expected).mean() * 255 < 0.3


OPENED = """
  const ort = await import("/ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = location.origin + "/ort/";
  const network = (await (await fetch("/models")).json()).models.find((each) => each.name === NAME).browser;
  const detector = await Detector.open(ort, "/files/" + NAME, network);
  return await detector.detect(image, CONFIDENCE);
"""


@needs_runtime
@pytest.mark.parametrize("size", [(320, 320), (480, 640), (201, 307), (1500, 1300)])
def test_boxes_are_those_of_python(size: tuple[int, int], drawn_hand: np.ndarray, tab: Tab) -> None:
    """Within 0.01 px of the input where the image is not resized, otherwise within 0.5 px."""
    image = cv2.resize(drawn_hand, size[::-1], interpolation=cv2.INTER_CUBIC)
    expected = seyolo.Detector("hand", confidence=0.2).detect(image)
    code = OPENED.replace("NAME", '"hand"').replace("CONFIDENCE", "0.2")
    found = run(tab, image, code)
    assert len(found) == len(expected) > 0
    is_exact = size == (320, 320)
    tolerance = (0.01 if is_exact else 0.5) * max(size) / 320
    np.testing.assert_allclose([one["box"] for one in found], expected.boxes, atol=tolerance)
    scores = [one["score"] for one in found]
    np.testing.assert_allclose(scores, expected.scores, atol=1e-4 if is_exact else 5e-3)


@needs_runtime
def test_suppression_is_that_of_python(tab: Tab) -> None:
    """Two hundred random boxes of three classes, of which many overlap."""
    random = np.random.default_rng(3)
    raw = random.random((200, 8)).astype(np.float32)
    raw[:, :4] = raw[:, :4] * 60 + 5
    confidence, iou = 0.3, 0.45
    code = f"return suppress(candidates(Float32Array.from({raw.ravel().tolist()}), 8, {confidence}), {iou})"
    found = run(tab, noisy(1, 1), code)
    boxes = Detections.from_raw(raw, place((200, 200), (200, 200)), confidence, iou)
    assert [one["class_id"] for one in found] == boxes.class_ids.tolist()
    np.testing.assert_allclose([one["score"] for one in found], boxes.scores, rtol=1e-6)
    np.testing.assert_allclose(np.clip([one["box"] for one in found], 0, 200), boxes.boxes, atol=1e-3)


@pytest.fixture
def own_page(tmp_path: Path) -> Iterator[str]:
    """The address of the example, beside the files that it names."""
    copied = {path.name: path for path in (EXAMPLE, PAGE / "detector.js")}
    copied |= {name: RUNTIME / "dist" / name for name in FILES} | {"model.onnx": model_path("hand")}
    for name, path in copied.items():
        (tmp_path / name).symlink_to(path)
    line = [
        sys.executable,
        "-u",
        "-m",
        "http.server",
        "0",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path),
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield re.findall(r"http://\S+/", process.stdout.readline())[0]
        finally:
            process.terminate()


@needs_runtime
def test_a_page_of_ones_own(browser: Tab, own_page: str, drawn_hand: np.ndarray, tmp_path: Path) -> None:
    photo = tmp_path / "hand.png"
    cv2.imwrite(str(photo), drawn_hand)
    browser.open(own_page)
    browser.until("document.body?.dataset.ready === ''")
    browser.choose_file("#file", photo)
    browser.until("document.querySelector('#found').textContent !== ''")
    (line,) = browser.texts("#found")[0].splitlines()
    (found,) = seyolo.Detector("hand").detect(photo).to_dicts(["hand"])
    name, score, _, *box = line.replace(",", "").split()
    assert name == "hand"
    assert float(score) == pytest.approx(found["score"], abs=2e-3)
    np.testing.assert_allclose([float(side) for side in box], found["box"], atol=0.1)


def test_a_folder_without_the_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    with pytest.raises(
        UsageError, match=r"holds no ort\.wasm\.min\.mjs; get it with: npm install onnxruntime-web@"
    ):
        runtime_folder(tmp_path)
    for name in FILES:
        (tmp_path / "dist" / name).touch()
    assert runtime_folder(tmp_path) == runtime_folder(tmp_path / "dist") == tmp_path / "dist"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("x.xml", {}, r"x\.xml: a browser runs \.onnx files only; export it: seyolo export x\.xml x\.onnx"),
        ("x.safetensors", {}, r"export it: seyolo export x\.safetensors x\.onnx"),
        ("hand", {"tile": True}, r"tiles are cut on the server only; leave --tile or --browser out"),
    ],
)
def test_what_a_browser_cannot_run_is_refused(
    model: str, options: dict[str, bool], message: str, tmp_path: Path
) -> None:
    for name in FILES:
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=message):
        serve(model, options=ServeOptions(port=0, browser=tmp_path, **options))
