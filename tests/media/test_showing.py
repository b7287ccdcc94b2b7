"""Annotated images in a notebook, in a viewer, in a file."""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.media import showing
from seyolo.notebook import notebook_display

IMAGE = np.full((300, 1280, 3), 90, np.uint8)


def found(count: int = 2, image: object = IMAGE) -> Detections:
    boxes = [[10 * index, 20, 10 * index + 200, 220] for index in range(count)]
    scores = np.linspace(0.9, 0.3, count)
    return Detections(boxes, scores, [index % 2 for index in range(count)], ["hand", "<b>"], image=image)  # type: ignore[arg-type]


def notebook(monkeypatch: pytest.MonkeyPatch, shell: object) -> list[object]:
    """A stand-in for IPython in this process; returns what is displayed."""
    shown: list[object] = []
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    monkeypatch.setattr(ipython, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(display, "display", shown.append, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


class Shell:
    kernel = object()


def inline_images(html: str) -> list[np.ndarray]:
    data = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [cv2.imdecode(np.frombuffer(b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in data]


def test_a_notebook_shows_the_annotated_image(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = notebook(monkeypatch, Shell())
    found().show()
    (image,) = inline_images(shown[0]._repr_html_())  # type: ignore[attr-defined]
    assert image.shape == (150, 640, 3)
    expected = cv2.resize(found().draw(), (640, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("shell", [None, object()])
def test_a_terminal_of_ipython_is_no_notebook(shell: object, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook(monkeypatch, shell)
    assert notebook_display() is None


def test_without_a_display_the_path_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(showing, "_has_display", lambda: False)
    found().show()
    (line,) = capsys.readouterr().err.splitlines()
    path = Path(line.removeprefix("there is no display here; the annotated image is "))
    np.testing.assert_array_equal(cv2.imread(str(path)), found().draw())


def test_a_display_opens_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(showing, "_has_display", lambda: True)
    monkeypatch.setattr(showing.webbrowser, "open", lambda address: opened.append(address) or True)
    found().show()
    assert opened[0].startswith("file://")
    assert opened[0].endswith("/detections.png")
    assert capsys.readouterr().err == ""


def test_save_writes_the_annotated_image(tmp_path: Path) -> None:
    path = found().save(tmp_path / "new" / "found.png")
    np.testing.assert_array_equal(cv2.imread(str(path)), found().draw())
    other = np.zeros((300, 400, 3), np.uint8)
    assert found().save(str(path), other) == path
    np.testing.assert_array_equal(cv2.imread(str(path)), found().draw(other))


def test_save_refuses_other_endings_and_places(tmp_path: Path) -> None:
    for name in ("found.txt", "found"):
        with pytest.raises(UsageError, match=f"{name}: an image is written as .jpg, .png or .webp"):
            found().save(tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/found.png: cannot be written"):
        found().save(tmp_path / "file" / "found.png")


def test_html_has_the_image_and_the_best_rows() -> None:
    html = found(12)._repr_html_()
    assert len(inline_images(html)) == 1
    assert "Detections: 6 hand, 6 &lt;b&gt;; scores 0.90 to 0.30" in html
    assert html.count("<tr>") == 1 + 10
    assert "and 2 detections more" in html
    assert "<script" not in html
    assert "<b>" not in html


def test_html_without_an_image(tmp_path: Path) -> None:
    assert "<img" not in found(image=None)._repr_html_()
    missing = found(image=tmp_path / "gone.jpg")._repr_html_()
    assert "<img" not in missing
    assert "gone.jpg: there is no such image" in missing
    assert Detections.empty()._repr_html_().count("<") == 2
