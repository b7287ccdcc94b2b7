"""ncnn: the files give the model's output, on every kind of network, or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_models import IMAGES, small
from helpers.small_networks import CONVOLUTION, small_network
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BackendError, ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.parity import relative_error
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel

pytest.importorskip("ncnn", reason="needs seyolo[ncnn]")
pytest.importorskip("pnnx", reason="needs seyolo[ncnn-export]")


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


def test_kernels_that_are_subnormal_in_16_bits_become_zero(tmp_path: Path) -> None:
    model = small(CONVOLUTION * 2)
    _, second, _ = (layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d))
    norm = next(layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d))
    with torch.no_grad():  # large maps, then a kernel half of which is below 6.1e-5
        median = float(second.weight.abs().median()) / 6.1e-5
        norm.weight *= median
        norm.bias *= median
        second.weight /= median
    (path, *_), raw = export(model, tmp_path / "x.ncnn.param", half=True), output(model)
    assert 1e-3 < relative_error(open_backend(path).infer(IMAGES.numpy()), raw) < 0.5


ZOO = (
    "yolov2@0.125", "yolov4-csp@0.125", "yolo-fastest-1.1", "cbam-yolov3-tiny@0.125", "eca-yolov3@0.125",
    "coordatt-yolov3@0.125", "simam-yolov3@0.125",
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


def test_one_thread_unless_told_otherwise(tmp_path: Path) -> None:
    """Two of ncnn's threads are far slower than one on a busy machine."""
    path, *_ = export(small(), tmp_path / "x.ncnn.param")
    numbers = [open_backend(path, threads=threads)._net.opt.num_threads for threads in (None, 1, 2)]
    assert numbers == [1, 1, 2]


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

    monkeypatch.setattr(exporter, "_SHUFFLE", exporter.re.compile("(never)"))
    with pytest.raises(ExportError, match="ncnn gives another output than the model"):
        export(small(CONVOLUTION + "[reorg]\nstride=2\n" + CONVOLUTION), tmp_path / "x.ncnn.param")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("layers", "missing"),
    [
        (CONVOLUTION.replace("leaky", "selu"), r"ncnn has no Selu \(layer 0\)"),
        (CONVOLUTION + CONVOLUTION + "[shortcut]\nfrom=-2\n", r"ncnn has no slice \(layer 2\)"),
    ],
)
def test_a_layer_that_ncnn_lacks_is_named(tmp_path: Path, layers: str, missing: str) -> None:
    path = tmp_path / "x.ncnn.param"
    with pytest.raises(ExportError, match=f"^{path}: {missing}; export to .onnx; nothing was written"):
        export(small(layers), path)
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_fails_or_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seyolo.exporting import converted  # noqa: PLC0415
    from seyolo.exporting import ncnn as exporter  # noqa: PLC0415

    monkeypatch.setattr(exporter, "_pnnx", lambda: Path("/usr/bin/false"))
    with pytest.raises(ExportError, match="pnnx cannot convert this network"):
        export(small(), tmp_path / "x.ncnn.param")
    monkeypatch.setattr(converted, "CONVERTER_SECONDS", 0.001)
    monkeypatch.setattr(exporter, "_pnnx", lambda: Path("/usr/bin/yes"))
    with pytest.raises(ExportError, match=r"yes takes longer than 0\.001 s"):
        export(small(), tmp_path / "x.ncnn.param")
    assert list(tmp_path.iterdir()) == []


def test_the_whole_ending_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a model is exported to .*\.ncnn\.param \(with"):
        export(small(), tmp_path / "x.param")


def test_files_that_are_not_the_written_ones_are_named(tmp_path: Path) -> None:
    """ncnn itself reads such files without a check."""
    files = export(small(), tmp_path / "x.ncnn.param")
    param, weights, about = files
    kept = {path: path.read_bytes() for path in files}
    text = json.loads(kept[about])
    changed = r"is not the file that x\.ncnn\.json describes; write it with seyolo export"
    cases = [
        (param, kept[param] + b"\n", changed),
        (weights, kept[weights][:-4], changed),
        (param, None, "there is no such model file"),
        (weights, None, r"x\.ncnn\.bin: there is no such file, which belongs to x\.ncnn\.param"),
        (about, None, r"x\.ncnn\.json: there is no such file, which belongs to x\.ncnn\.param"),
        (about, b"{", r"x\.ncnn\.json: cannot be read as JSON"),
        (about, b"[]", r"x\.ncnn\.json: expected object"),
        (about, json.dumps(text | {"sha256": {}}).encode(), changed),
        (about, json.dumps(text | {"channels": 1}).encode(), changed),
        (about, json.dumps(text | {"metadata": {}}).encode(), changed),
    ]
    for path, data, message in cases:
        path.unlink() if data is None else path.write_bytes(data)
        with pytest.raises(BackendError, match=message):
            open_backend(param)
        path.write_bytes(kept[path])
    assert open_backend(param).names == ("left", "right")
    with pytest.raises(BackendError, match="ncnn files run on cpu here"):
        open_backend(param, device="cuda")
