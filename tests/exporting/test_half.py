"""16-bit kernels: half the file, the same arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.zoo import network_from_name
from seyolo.detector import Detector
from seyolo.errors import ExportError
from seyolo.exporting.formats import export
from seyolo.exporting.parity import relative_error
from seyolo.runtime.onnx_reader import read_onnx_file

IMAGES = random_images(64, 64)


def test_the_file_is_half_and_gives_what_rounded_kernels_give(tmp_path: Path) -> None:
    model = calibrated(small_network(CONVOLUTION.replace("filters=8", "filters=128") * 2, size=64), IMAGES)
    export(model, tmp_path / "float.onnx")
    export(model, tmp_path / "half.onnx", half=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("half.onnx", "float.onnx")]
    assert sizes[0] / sizes[1] == pytest.approx(0.5, abs=0.03)
    onnx.checker.check_model(str(tmp_path / "half.onnx"), full_check=True)

    outputs = [
        Detector(tmp_path / name).backend.infer(IMAGES.numpy()) for name in ("half.onnx", "float.onnx")
    ]
    assert outputs[0].dtype == np.float32
    # 16 bits hold eleven digits of the fraction; more than a few times 2^-11 would be another error.
    assert 1e-6 < relative_error(*outputs) < 1e-2


def test_metadata_and_counts_are_those_of_the_float_file(tmp_path: Path) -> None:
    model = calibrated(network_from_name("se-yolov3@0.125", num_classes=2), IMAGES)
    export(model, tmp_path / "float.onnx")
    export(model, tmp_path / "half.onnx", half=True)
    plain, half = (read_onnx_file(tmp_path / name) for name in ("float.onnx", "half.onnx"))
    assert half.metadata == plain.metadata
    assert plain.cost is not None
    assert half.cost is not None
    assert (half.cost.params, half.cost.macs) == (plain.cost.params, plain.cost.macs)
    assert half.inputs == plain.inputs


def test_a_weight_that_does_not_fit_is_named(tmp_path: Path) -> None:
    model = calibrated(small_network(CONVOLUTION), IMAGES)
    with torch.no_grad():
        model.get_parameter("layers.1.conv.weight")[0, 0] = 1e5
    with pytest.raises(ExportError, match=r"layers\.1\.conv\.weight: a weight does not fit into 16 bits"):
        export(model, tmp_path / "half.onnx", half=True)
    assert not list(tmp_path.iterdir())


def test_the_gate_compares_with_the_rounded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seyolo.exporting.onnx.store_halves", coarser)
    with pytest.raises(ExportError, match="ONNX Runtime gives another output"):
        export(calibrated(small_network(CONVOLUTION), IMAGES), tmp_path / "half.onnx", half=True)
    assert not list(tmp_path.iterdir())


def coarser(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Kernels with one digit too few."""
    for tensor in proto.graph.initializer:
        if tensor.name.endswith(".weight"):
            array = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.round(array, 1), tensor.name))
    return proto
