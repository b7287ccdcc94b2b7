"""ONNX files: the same numbers in another program, or no file at all."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import seyolo.exporting.onnx as exporter
from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.cfg import parse_cfg, stored_cfg
from seyolo.darknet.edit import set_letterbox
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import CfgError, ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.parity import relative_error
from seyolo.options.export import FileOptions
from seyolo.runtime.inference import Thresholds
from seyolo.torchnet.build import DarknetModel

IMAGES = random_images(64, 64, num=3, seed=9)
SIZE = (64, 64)
DYNAMIC, NMS = FileOptions(dynamic_batch=True), FileOptions(nms=True)


def run(path: Path, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"images": images.numpy()})[0]
    return result


def output(model: DarknetModel, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(images).numpy()


@pytest.mark.parametrize(
    "name",
    [
        "yolov3@0.125",
        "yolov3-tiny@0.25",
        "yolov3-spp@0.125",
        "se-yolov3@0.125",
        "cbam-yolov3@0.125",
        "eca-yolov3@0.125",
        "coordatt-yolov3@0.125",
        "simam-yolov3@0.125",
    ],
)
def test_zoo_networks_give_the_same_numbers(tmp_path: Path, name: str) -> None:
    model = calibrated(network_from_name(name, num_classes=2), IMAGES)
    path = export_onnx(model, tmp_path / "x.onnx", DYNAMIC, size=SIZE).files[0]
    onnx.checker.check_model(str(path), full_check=True)
    # A random network magnifies rounding; a wrong slope or a lost shortcut gives 1e-2 and more.
    assert relative_error(run(path, IMAGES), output(model, IMAGES)) < 1e-3


EVERY_SECTION = """
[convolutional]
filters=8
size=3
stride_x=2
stride_y=1
pad=1
activation=swish
[maxpool]
size=3
stride_x=1
stride_y=2
[dropout]
probability=.2
[convolutional]
batch_normalize=1
filters=12
size=3
pad=1
groups=4
dilation=2
activation={activation}
[route]
layers=-1,-2
groups=2
group_id=1
[convolutional]
filters=8
size=2
stride=2
padding=0
activation=leaky
[upsample]
stride=2
scale=0.5
[convolutional]
filters=12
size=1
activation=logistic
[sam]
from=3
[shortcut]
from=4,1
activation=leaky
[shortcut]
from=3
[cbam]
hidden=2
join=add
[avgpool]
[convolutional]
filters=12
size=1
activation=logistic
[scale_channels]
from=11
"""


@pytest.mark.parametrize(
    "activation",
    ["linear", "leaky", "relu", "relu6", "logistic", "swish", "mish", "hard_mish", "hardtan", "tanh", "elu"],
)
def test_every_section_and_activation(tmp_path: Path, activation: str) -> None:
    network = small_network(EVERY_SECTION.format(activation=activation), classes=3)
    model = calibrated(network, IMAGES)
    path = export_onnx(model, tmp_path / "x.onnx", DYNAMIC, size=(32, 64)).files[0]
    images = IMAGES[:, :, :32]
    assert relative_error(run(path, images), output(model, images)) < 1e-4


def test_the_floor_of_a_cut_cbam(tmp_path: Path) -> None:
    layers = "[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=linear\n[cbam]\nhidden=2\n{}"
    models = [calibrated(small_network(layers.format(key)), IMAGES) for key in ("floor=1\n", "")]
    for model in models:
        model.load_state_dict(models[0].state_dict())
        model.get_parameter("layers.0.conv.bias").data -= 2  # every channel is below zero everywhere
        model.get_parameter("layers.1.spatial.weight").data.fill_(0.01)
    path = export_onnx(models[0], tmp_path / "x.onnx", DYNAMIC, size=(32, 32)).files[0]
    images = IMAGES[:, :, :32, :32].contiguous()
    assert relative_error(run(path, images), output(models[0], images)) < 1e-4
    assert relative_error(output(models[1], images), output(models[0], images)) > 1e-2


@pytest.mark.parametrize("keys", ["scale_x_y=1.2", "scale_x_y=2.0\nnew_coords=1"])
def test_decoding_variants(tmp_path: Path, keys: str) -> None:
    cfg = small_network(CONVOLUTION).to_cfg().replace("[yolo]", f"[yolo]\n{keys}")
    cfg = cfg.replace("activation=linear", "activation=logistic") if "new_coords" in keys else cfg
    model = calibrated(parse_cfg(cfg), IMAGES)
    path = export_onnx(model, tmp_path / "x.onnx", size=(64, 32)).files[0]
    images = IMAGES[:1, :, :, :32].contiguous()
    assert relative_error(run(path, images), output(model, images)) < 1e-4


def test_the_file_says_what_a_detector_has_to_know(tmp_path: Path) -> None:
    network = set_letterbox(small_network(CONVOLUTION * 2, size=64), True)
    model = calibrated(network, IMAGES)
    model.names = ("hand ✋",)
    export_onnx(model, tmp_path / "x.onnx")
    proto = onnx.load(tmp_path / "x.onnx")
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(metadata["names"]) == ["hand ✋"]
    assert json.loads(metadata["input_size"]) == [64, 64]
    assert (metadata["letterbox"], metadata["producer"]) == ("letterbox", "seyolo")
    assert metadata["cfg"] == stored_cfg(model.network)
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in proto.graph.input
    }
    assert sizes == {"images": [1, 3, 64, 64]}
    assert str(tmp_path) not in (tmp_path / "x.onnx").read_bytes().decode("latin-1")


def test_a_failed_parity_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = calibrated(small_network(CONVOLUTION), IMAGES)
    (tmp_path / "x.onnx").write_text("the old file")
    monkeypatch.setattr("seyolo.translation.activations.LEAKY_SLOPE", 0.11)
    with pytest.raises(ExportError, match="ONNX Runtime gives another output than the model"):
        export_onnx(model, tmp_path / "x.onnx")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("x.onnx", "the old file")]


def detecting_model() -> DarknetModel:
    """A model that finds plenty, of three classes."""
    model = calibrated(small_network(CONVOLUTION * 2, classes=3, size=64), IMAGES)
    for convolution, head in model.head_convolutions():
        assert convolution.bias is not None
        convolution.weight.data *= 2.5  # scores far from each other, in every image
        convolution.bias.data.view(len(head.anchors), -1)[:, 4:] += 4
    return model


def test_suppression_inside_gives_the_boxes_of_numpy(tmp_path: Path) -> None:
    model = detecting_model()
    path = export_onnx(
        model, tmp_path / "x.onnx", FileOptions(nms=True, dynamic_batch=True), thresholds=Thresholds(0.4)
    ).files[0]
    rows = run(path, IMAGES)
    expected = exporter.reference_detections(output(model, IMAGES), Thresholds(0.4))
    assert len(rows) > 20
    assert rows.shape[1] == 7
    assert set(rows[:, 0]) == {0, 1, 2}
    ordered = [r[np.lexsort((r[:, 1], r[:, 5], r[:, 6], r[:, 0]))] for r in (rows, expected)]
    np.testing.assert_allclose(ordered[0], ordered[1], rtol=1e-4, atol=1e-3)


def test_suppression_may_find_nothing(tmp_path: Path) -> None:
    model = calibrated(small_network(CONVOLUTION), IMAGES)
    path = export_onnx(model, tmp_path / "x.onnx", NMS, thresholds=Thresholds(1.0)).files[0]
    assert run(path, IMAGES[:1, :, :32, :32].contiguous()).shape == (0, 7)


def test_wrong_suppression_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = exporter.append_nms
    monkeypatch.setattr(exporter, "append_nms", lambda proto, _: real(proto, Thresholds(0.9)))
    with pytest.raises(ExportError, match="finds other boxes"):
        export_onnx(detecting_model(), tmp_path / "x.onnx", NMS, thresholds=Thresholds(0.4))
    assert list(tmp_path.iterdir()) == []


def test_opencv_runs_the_file_too(tmp_path: Path) -> None:
    model = calibrated(network_from_name("se-yolov3@0.125", num_classes=2), IMAGES)
    net = cv2.dnn.readNetFromONNX(str(export_onnx(model, tmp_path / "x.onnx", size=SIZE).files[0]))
    net.setInput(IMAGES[:1].numpy())
    assert relative_error(net.forward(), output(model, IMAGES[:1])) < 1e-3


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    model = calibrated(small_network(CONVOLUTION), IMAGES)
    with pytest.raises(CfgError, match="multiple"):
        export_onnx(model, tmp_path / "x.onnx", size=(33, 32))
    with pytest.raises(UsageError, match="confidence"):
        export_onnx(model, tmp_path / "x.onnx", NMS, thresholds=Thresholds(2.0))
    with pytest.raises(UsageError, match=r"\.onnx, \.xml .*, \.cfg .* or \.safetensors"):
        export(model, tmp_path / "x.engine")
    with pytest.raises(UsageError, match="suppression"):
        export(model, tmp_path / "x.cfg", nms=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # raised inside torch
def test_the_module_can_be_traced_by_torchs_own_exporter(tmp_path: Path) -> None:
    model = calibrated(network_from_name("yolov3-tiny@0.125", num_classes=1), IMAGES)
    program = torch.onnx.export(model, (IMAGES[:1],), dynamo=True, external_data=False, verbose=False)
    assert program is not None
    program.save(tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    raw = session.run(None, {session.get_inputs()[0].name: IMAGES[:1].numpy()})[0]
    assert relative_error(raw, output(model, IMAGES[:1])) < 1e-4
