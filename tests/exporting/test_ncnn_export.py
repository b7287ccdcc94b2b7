"""ncnn: the files give the model's output, on every kind of network, or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BackendError, ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.parity import relative_error
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel

pytest.importorskip("ncnn", reason="needs seyolo[ncnn]")
pytest.importorskip("pnnx", reason="needs seyolo[ncnn]")
IMAGES = random_images(64, 64, num=2)


def small(layers: str = CONVOLUTION) -> DarknetModel:
    model = calibrated(small_network(layers, classes=2, size=64), IMAGES)
    model.names = ("left", "right")
    return model


def output(model: DarknetModel) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model(IMAGES).numpy())


@pytest.mark.parametrize("half", [False, True])
def test_the_files_are_the_model(tmp_path: Path, half: bool) -> None:
    model = small()
    paths = export(model, tmp_path / "new/x.ncnn.param", half=half)
    assert [path.name for path in paths] == ["x.ncnn.param", "x.ncnn.bin", "x.ncnn.json"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    backend = open_backend(paths[0], threads=1)
    assert (backend.name, backend.names, backend.input_size) == ("ncnn", ("left", "right"), (64, 64))
    tolerance = 1e-2 if half else 1e-5
    assert relative_error(backend.infer(IMAGES.numpy()), output(model)) < tolerance


ZOO = (
    "yolov2@0.125", "yolov3-spp@0.0625", "yolov4-tiny@0.125", "yolov4-csp@0.125", "yolov7-tiny@0.25",
    "yolo-fastest-1.1", "enetb0-coco", "se-yolov3-tiny@0.125", "cbam-yolov3-tiny@0.125",
)  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo(tmp_path: Path, name: str) -> None:
    model = calibrated(network_from_name(name, num_classes=2), IMAGES)
    model = model if model.network.net.width == 64 else _at_64(model)
    path, *_ = export(model, tmp_path / "x.ncnn.param")
    assert relative_error(open_backend(path).infer(IMAGES.numpy()), output(model)) < 2e-3


def _at_64(model: DarknetModel) -> DarknetModel:
    from seyolo.opening.network import resized  # noqa: PLC0415

    return resized(model, 64)


def test_reorg_keeps_the_order_of_its_channels(tmp_path: Path) -> None:
    """pnnx writes the order of pixel_unshuffle."""
    model = small(CONVOLUTION + "[reorg]\nstride=2\n" + CONVOLUTION)
    path, *_ = export(model, tmp_path / "x.ncnn.param")
    assert relative_error(open_backend(path).infer(IMAGES.numpy()), output(model)) < 1e-5


def test_a_grey_network_and_its_padding(tmp_path: Path) -> None:
    text = small_network(CONVOLUTION, size=64).to_cfg().replace("channels=3", "channels=1")
    from seyolo.darknet.cfg import parse_cfg  # noqa: PLC0415

    network = parse_cfg(text.replace("channels=1", "channels=1\nletter_box=1\npad_value=127.5"), "x.cfg")
    grey = IMAGES[:, :1].contiguous()
    path, *_ = export(calibrated(network, grey), tmp_path / "x.ncnn.param")
    backend = open_backend(path)
    assert (backend.input_channels, backend.pad_value) == (1, 127.5)  # type: ignore[attr-defined]
    assert backend.infer(grey.numpy()).shape[0] == 2


@pytest.mark.parametrize("option", ["nms", "dynamic_batch"])
def test_options_that_ncnn_has_not(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match=r"ncnn has no .*; export to \.onnx"):
        export(small(), tmp_path / "x.ncnn.param", **{option: True})
    with pytest.raises(UsageError, match="ncnn has no int8"):
        export(small(), tmp_path / "x.ncnn.param", int8=True, pictures=[np.zeros((9, 9, 3), np.uint8)] * 8)
    assert list(tmp_path.iterdir()) == []


def test_another_output_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seyolo.exporting import ncnn as exporter  # noqa: PLC0415

    monkeypatch.setattr(exporter, "_REORG", exporter.re.compile("(never)"))
    with pytest.raises(ExportError, match="ncnn"):
        export(small(CONVOLUTION + "[reorg]\nstride=2\n" + CONVOLUTION), tmp_path / "x.ncnn.param")
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_named(tmp_path: Path) -> None:
    param, weights, about = export(small(), tmp_path / "x.ncnn.param")
    kept = {path: path.read_bytes() for path in (param, weights, about)}
    cases = {
        param: (b"7767517\n1 1\nNothing a 0 1 b\n", "ncnn cannot read this file"),
        weights: (b"", "ncnn cannot read this file|ncnn stopped"),
        about: (b"{", "not valid JSON"),
    }
    for path, (data, message) in cases.items():
        path.write_bytes(data)
        with pytest.raises(BackendError, match=message):
            open_backend(param)
        path.write_bytes(kept[path])
    param.write_bytes(b"no ncnn")
    with pytest.raises(BackendError, match=r"not an ncnn \.param file"):
        open_backend(param)
    param.write_bytes(kept[param])
    about.unlink()
    with pytest.raises(BackendError, match="there is no such file, which tells the size of the input"):
        open_backend(param)
    about.write_text(json.dumps({"input_size": "[64, 64]", "channels": "7"}))
    with pytest.raises(BackendError, match="takes images of 7 channels"):
        open_backend(param)
