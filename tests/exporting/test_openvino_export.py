"""OpenVINO's files: the same numbers there, or no files at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from helpers.spot_detector import spot_detector, spot_image, spot_images
from seyolo.darknet.cfg import stored_cfg
from seyolo.darknet.zoo import network_from_name
from seyolo.detector import Detector
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.parity import relative_error
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend

openvino = pytest.importorskip("openvino", reason="needs seyolo[openvino]")
exporter = pytest.importorskip("seyolo.exporting.openvino", reason="needs seyolo[openvino]")

IMAGES = random_images(64, 64, num=2, seed=9)


@pytest.mark.parametrize(
    "name",
    [
        "yolov3@0.125",
        "se-yolov3@0.125",
        "cbam-yolov3@0.125",
        "eca-yolov3@0.125",
        "coordatt-yolov3@0.125",
        "simam-yolov3@0.125",
        "yolov4-tiny@0.25",
    ],
)
def test_zoo_networks_give_the_same_numbers(tmp_path: Path, name: str) -> None:
    network = network_from_name(name, num_classes=2)
    model = calibrated(network, random_images(network.net.height, network.net.width))
    files = export(model, tmp_path / "new" / "x.xml")
    assert sorted(file.name for file in files[0].parent.iterdir()) == ["x.bin", "x.xml"]
    images = random_images(network.net.height, network.net.width, seed=3)
    with torch.no_grad():
        expected = model(images).numpy()
    assert relative_error(Detector(files[0]).backend.infer(images.numpy()), expected) < 1e-3


def test_the_file_says_what_a_detector_has_to_know(tmp_path: Path) -> None:
    model = spot_detector()
    model.names = ('"spot" ✋',)
    export(model, tmp_path / "x.xml")
    backend = Detector(tmp_path / "x.xml").backend
    assert backend.name == "openvino"
    assert backend.names == ('"spot" ✋',)
    assert backend.input_size == (64, 64)
    assert backend.letterbox_mode == "letterbox"
    read = openvino.Core().read_model(tmp_path / "x.xml")
    assert read.get_rt_info(["seyolo", "cfg"]).astype(str) == stored_cfg(model.network)
    assert str(tmp_path) not in (tmp_path / "x.xml").read_text()


def test_batches_give_what_the_model_gives_and_are_timed(tmp_path: Path) -> None:
    """An `.xml` takes one image after the other, an `.onnx` with `dynamic_batch` takes them at once."""
    model = spot_detector()
    images = random_images(64, 64, num=3, seed=5)
    with torch.no_grad():
        expected = model(images).numpy()
    (path, _), (any_batch,) = (
        export(model, tmp_path / "x.xml"),
        export(model, tmp_path / "x.onnx", dynamic_batch=True),
    )
    backends = {file.suffix: open_backend(file, runtime="openvino", threads=1) for file in (path, any_batch)}
    for backend in backends.values():
        assert relative_error(backend.infer(images.numpy()), expected) < 1e-4
    timings = benchmark(backends, repeats=1, warmup=0, images=spot_images(3), batch=3)
    assert all(timing.batch_pictures_per_s for timing in timings)


def test_half_kernels_are_half_the_file(tmp_path: Path) -> None:
    wide = small_network(CONVOLUTION.replace("filters=8", "filters=128") * 2, size=64)
    model = calibrated(wide, IMAGES)
    sizes = [export(model, tmp_path / "x.xml", half=half)[1].stat().st_size for half in (True, False)]
    assert sizes[0] / sizes[1] == pytest.approx(0.5, abs=0.05)


def test_int8_finds_spots_and_is_a_quarter_of_the_file(tmp_path: Path) -> None:
    files = export(spot_detector(), tmp_path / "x.xml", int8=True, pictures=spot_images(12))
    found = Detector(files[0]).detect(spot_image([(7, 8)]))
    np.testing.assert_allclose(found.boxes, [[10, 14, 50, 54]], atol=1e-3)
    facts = openvino.Core().read_model(files[0]).get_rt_info(["seyolo", "int8"]).astype(str)
    assert json.loads(facts) == {"pictures": 12, "agreement": 1.0, "float_layers": []}


def test_a_failed_comparison_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = spot_detector()
    with torch.no_grad():
        other.get_parameter("layers.2.conv.bias")[2:4] += 0.5  # boxes e^0.5 times as large
    monkeypatch.setattr(exporter, "export_onnx", lambda _, *rest: export_onnx(other, *rest))
    with pytest.raises(ExportError, match="OpenVINO gives another output"):
        export(spot_detector(), tmp_path / "x.xml")
    with pytest.raises(ExportError, match="OpenVINO in int8 shares"):
        export(spot_detector(), tmp_path / "x.xml", int8=True, pictures=spot_images(8))
    assert not list(tmp_path.iterdir())


def test_options_the_format_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"OpenVINO has no non-maximum suppression; export to \.onnx"):
        export(spot_detector(), tmp_path / "x.xml", nms=True)
    with pytest.raises(UsageError, match=r"OpenVINO has no dynamic batch; export to \.onnx"):
        export(spot_detector(), tmp_path / "x.xml", dynamic_batch=True)
    assert not list(tmp_path.iterdir())
