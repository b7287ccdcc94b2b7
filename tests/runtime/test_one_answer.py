"""Every runtime of a cfg gives one answer, that of the exported file, or refuses by name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.one_section import FRONT, HEADS, NETWORKS, section, write_network
from seyolo.errors import BackendError
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.parity import relative_error
from seyolo.opening.network import load
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend, Runtime

BODIES = {name: (body, "", refusal) for name, (body, refusal) in NETWORKS.items()}
CASES = {**BODIES, **{name: ("", head, None) for name, head in HEADS.items()}}
needs_reader = pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromDarknet"), reason="this OpenCV no longer reads Darknet files"
)


def written(folder: Path, name: str) -> Path:
    body, head, _ = CASES[name]
    return write_network(folder, body, head) if head else write_network(folder, body)


def answer(backend: Backend) -> np.ndarray:
    """The raw output for two drawn images."""
    batch = np.random.default_rng(1).random((2, 3, *backend.input_size), dtype=np.float32)
    return backend.infer(batch)


@pytest.mark.parametrize("name", CASES)
def test_a_cfg_runs_as_its_exported_file(name: str, tmp_path: Path) -> None:
    cfg = written(tmp_path, name)
    export_onnx(load(cfg, cfg.with_suffix(".weights")), tmp_path / "net.onnx")
    expected = answer(open_backend(tmp_path / "net.onnx"))
    usual = open_backend(cfg)
    assert usual.name == "onnxruntime"
    assert relative_error(answer(usual), expected) < 1e-5
    runtimes: tuple[Runtime, ...] = ("torch", "openvino")
    for runtime in runtimes:
        assert relative_error(answer(open_backend(cfg, runtime=runtime)), expected) < 1e-5, runtime


@needs_reader
@pytest.mark.parametrize("name", CASES)
def test_opencv_gives_the_same_answer_or_none(name: str, tmp_path: Path) -> None:
    cfg, refusal = written(tmp_path, name), CASES[name][2]
    if refusal is not None:
        with pytest.raises(BackendError, match=rf"net\.cfg:\d+: \[\w+\] \(layer \d+\).*{refusal}.*@opencv"):
            open_backend(cfg, runtime="opencv")
        return
    found = answer(open_backend(cfg, runtime="opencv"))
    assert relative_error(found, answer(open_backend(cfg))) < 1e-4


@needs_reader
def test_a_region_is_refused_since_opencv_drops_boxes_of_it(tmp_path: Path) -> None:
    region = section("region", anchors="1,2, 3,4", classes=2, num=2, softmax=1)
    front = FRONT.replace("filters=8", "filters=14").replace("leaky", "linear")
    cfg = write_network(tmp_path, "", region, front)
    with pytest.raises(BackendError, match=r"\[region\].*drops overlapping boxes"):
        open_backend(cfg, runtime="opencv")
    assert relative_error(answer(open_backend(cfg)), answer(open_backend(cfg, runtime="torch"))) < 1e-5
