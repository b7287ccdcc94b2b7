"""Int8 for OpenCV 5: which layers remain float32, and networks that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from helpers.small_networks import CONVOLUTION, small_network
from helpers.spot_detector import spot_detector, spot_images
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import ExportError
from seyolo.exporting.formats import export
from seyolo.exporting.opencv5 import wrong_in_int8
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("yolov3", set()),
        ("yolov4", set()),  # Mish
        ("yolov7-tiny", {"logistic"}),  # its detection convolutions, float32 in any int8
        ("yolo-fastest-1.1", {"grouped"}),
        ("csresnext50-panet-spp", {"grouped"}),
        ("enetb0-coco", {"grouped", "logistic"}),  # its swish is right
        ("se-yolov3", {"logistic"}),
    ],
)
def test_layers_that_opencv_5_computes_wrongly(name: str, kinds: set[str]) -> None:
    network = network_from_name(name, num_classes=1)
    wrong = wrong_in_int8(network, (384, 384))
    sections = [network.layers[index] for index in wrong]
    found = {"grouped" if getattr(each, "groups", 1) > 1 else "logistic" for each in sections}
    assert found == kinds
    grouped = {index for index, each in enumerate(network.layers) if getattr(each, "groups", 1) > 1}
    assert {index for index in grouped if network.layers[index].kind == "convolutional"} <= wrong


def test_convolutions_to_maps_whose_places_are_no_multiple_of_8() -> None:
    network = network_from_name("yolov3", num_classes=1)
    assert wrong_in_int8(network, (384, 384)) == set()
    wrong = wrong_in_int8(network, (320, 320))
    maps = {index: layer.shape[1:] for index, layer in enumerate(cost(network, 320, 320).layers)}
    convolutions = [index for index, each in enumerate(network.layers) if each.kind == "convolutional"]
    assert wrong == {index for index in convolutions if maps[index] == (10, 10)}
    with pytest.raises(ExportError, match="no multiple of 8; export without --int8, at a --size that is"):
        wrong_in_int8(network, (416, 416))
    with pytest.raises(ExportError, match="a pool halves a map"):
        wrong_in_int8(network_from_name("yolov3-tiny", num_classes=1), (320, 320))


def test_sums_with_a_sigmoid_count_too() -> None:
    text = small_network(CONVOLUTION * 2, size=64).to_cfg()
    text = text.replace("[yolo]", "[shortcut]\nfrom=-1\nactivation=logistic\n[yolo]", 1)
    network = parse_cfg(text)
    (layer,) = wrong_in_int8(network, (64, 64))
    assert network.layers[layer].kind == "shortcut"


def grouped_spots(groups: int, more_layers: int = 1) -> DarknetModel:
    """The detector of spots, whose second convolution reads and writes its channels in groups."""
    made = to_checkpoint(spot_detector(more_layers))
    text = made.network.to_cfg().split("[convolutional]")
    text[2] = text[2].replace("size=3", f"groups={groups}\nsize=3")
    network = parse_cfg("[convolutional]".join(text))
    state = dict(made.state)
    kernel = state["layers.1.conv.weight"]
    width = kernel.shape[1] // groups
    parts = [kernel[i, i // width * width : (i // width + 1) * width] for i in range(len(kernel))]
    state["layers.1.conv.weight"] = np.stack(parts) * groups
    return from_checkpoint(type(made)(**{**vars(made), "network": network, "state": state}))


@pytest.mark.parametrize("groups", [2, 8])
def test_a_grouped_convolution_remains_float32(groups: int, tmp_path: Path) -> None:
    model = grouped_spots(groups)
    stored = {}
    for name, runtime in (("any", None), ("opencv5", "opencv5")):
        path = tmp_path / f"{name}.onnx"
        export(model, path, int8=True, for_runtime=runtime, pictures=spot_images(9))
        tensors = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
        stored[name] = {key: value.dtype for key, value in tensors.items() if "layers.1.conv.weight" in key}
    assert np.int8 in stored["any"].values()
    assert stored["opencv5"] == {"layers.1.conv.weight": np.float32}


def test_a_network_without_any_layer_for_int8_is_refused(tmp_path: Path) -> None:
    """The first convolution reads the image, the last one is the head, and the one between is grouped."""
    model = grouped_spots(8, more_layers=0)
    with pytest.raises(ExportError, match="no layer of this network can become int8; export without --int8"):
        export(model, tmp_path / "x.onnx", int8=True, for_runtime="opencv5", pictures=spot_images(9))
    assert not list(tmp_path.iterdir())


def test_a_network_that_would_stay_float32_is_refused(tmp_path: Path) -> None:
    model = spot_detector()
    made = to_checkpoint(model)
    network = parse_cfg(made.network.to_cfg().replace("activation=leaky", "activation=logistic"))
    path = tmp_path / "x.onnx"
    with pytest.raises(ExportError, match=r"2 layers with \d+% of the MACs.*without --for opencv5"):
        export(
            from_checkpoint(type(made)(**{**vars(made), "network": network})),
            path,
            int8=True,
            for_runtime="opencv5",
            pictures=spot_images(9),
        )
    assert not path.exists()


def test_in_float32_the_file_is_the_same(tmp_path: Path) -> None:
    for name, runtime in (("any", None), ("opencv5", "opencv5")):
        export(spot_detector(), tmp_path / f"{name}.onnx", for_runtime=runtime)
    assert (tmp_path / "any.onnx").read_bytes() == (tmp_path / "opencv5.onnx").read_bytes()
