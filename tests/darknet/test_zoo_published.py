"""The zoo against what is published of each network: layers, weights, BFLOPs, wiring, detections, real files.

BFLOPs are twice the MACs, in 10⁹. Darknet's own count adds shortcuts to the convolutions: well below 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from math import prod
from pathlib import Path

import pytest

from seyolo.darknet.cfg import Network, read_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.graph import detection_layers, inputs, shapes, strides
from seyolo.darknet.sections import Convolutional, Detection, Region, Section, Yolo
from seyolo.darknet.weights import tensor_shapes
from seyolo.darknet.zoo import ZOO

HEADER_BYTES = 20
"""Of a `.weights` file of version 0.2; Redmon's files of version 0.1 have 16."""


@dataclass(frozen=True)
class Published:
    """`params` and `predictions` are ours, derived from the layers; the rest is published.

    `weights` is the size of the `.weights` file: MiB as AlexeyAB's list of models prints it, or exact bytes.
    `bflops` are by image side in pixels, as printed.
    """

    name: str
    size_px: int
    layers: int
    params: int
    strides: tuple[int, ...]
    predictions: int
    weights: str = ""
    bflops: tuple[tuple[int, str], ...] = ()


PUBLISHED = [
    Published("yolov2", 608, 32, 50_962_889, (32,), 1805, "194 MiB", ((608, "62.94"),)),
    Published("yolov2-voc", 416, 32, 50_655_389, (32,), 845, "194 MiB"),
    Published("yolov2-tiny", 416, 16, 11_232_057, (32,), 845, "43 MiB", ((416, "5.41"),)),
    Published("yolov2-tiny-voc", 416, 16, 15_861_773, (32,), 845, "60 MiB", ((416, "6.97"),)),
    Published("yolov3", 416, 107, 61_949_149, (32, 16, 8), 10647, "248007048", ((416, "65.86"),)),
    Published("yolov3-spp", 416, 114, 62_998_749, (32, 16, 8), 10647, "240 MiB", ((608, "141.5"),)),
    Published("yolov3-tiny", 416, 24, 8_852_366, (32, 16), 2535, "35434956", ((416, "5.571"),)),
    Published("yolov3-tiny-3l", 608, 31, 9_213_453, (32, 16, 8), 22743),
    Published("yolov3-tiny-prn", 416, 28, 4_935_182, (32, 16), 2535, "18.8 MiB", ((416, "3.467"),)),
    Published(
        "yolov4", 608, 162, 64_363_101, (8, 16, 32), 22743, "257717640",
        ((608, "128.5"), (512, "91.1"), (416, "60.1"), (320, "35.5")),
    ),
    Published("yolov4-tiny", 416, 38, 6_056_606, (32, 16), 2535, "24251276", ((416, "6.9"),)),
    Published("yolov4-tiny-3l", 608, 45, 6_327_453, (32, 16, 8), 22743),
    Published("yolov4-sam-mish", 512, 168, 65_742_941, (8, 16, 32), 16128),
    Published(
        "yolov4-csp", 512, 175, 52_921_437, (8, 16, 32), 16128, "202 MiB", ((512, "77"), (640, "120"))
    ),
    Published("yolov4-csp-swish", 640, 176, 52_921_437, (8, 16, 32), 25200, "202 MiB", ((640, "120"),)),
    Published("yolov4x-mish", 640, 203, 99_751_053, (8, 16, 32), 25200, "381 MiB", ((640, "221"),)),
    Published("yolov4-csp-x-swish", 640, 204, 99_751_053, (8, 16, 32), 25200, "381 MiB", ((640, "221"),)),
    Published("yolov4-p5", 896, 244, 70_830_684, (8, 16, 32), 65856, "271 MiB"),
    Published("yolov4-p6", 1280, 305, 127_585_200, (8, 16, 32, 64), 136_000, "487 MiB"),
    Published("cspx-p7-mish", 1536, 375, 276_316_196, (8, 16, 32, 64, 128), 196_416),
    Published("yolov7-tiny", 416, 99, 6_227_101, (8, 16, 32), 10647, "", ((416, "5.8"),)),
    Published("yolov7", 640, 143, 36_928_413, (8, 16, 32), 25200, "", ((640, "104.7"),)),
    Published("yolov7x", 640, 159, 71_344_389, (8, 16, 32), 25200, "", ((640, "189.9"),)),
    Published(
        "csresnext50-panet-spp", 512, 138, 56_942_525, (8, 16, 32), 16128, "217 MiB",
        ((512, "71.331"), (608, "100.588")),
    ),
    Published(
        "csresnext50-panet-spp-original-optimal", 608, 138, 56_942_525, (8, 16, 32), 22743, "217 MiB",
        ((608, "100.5"),),
    ),
    Published(
        "enetb0-coco", 416, 146, 4_770_414, (32, 16), 2535, "18.3 MiB", ((416, "3.730"), (320, "2.208"))
    ),
    Published("mobilenetv2-yolov3-lite", 320, 81, 1_971_902, (32, 16), 1500, "", ((320, "1.8"),)),
    Published("mobilenetv2-yolov3-nano", 320, 80, 873_150, (32, 16), 1500, "3564300", ((320, "0.5"),)),
    Published("yolo-fastest-1.1", 320, 131, 332_798, (32, 16), 1500, "1384268"),
    Published("yolo-fastest-1.1-xl", 320, 131, 898_686, (32, 16), 1500, "3693964"),
]  # fmt: skip
each_network = pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)


def test_the_table_is_the_whole_zoo() -> None:
    assert [published.name for published in PUBLISHED] == list(ZOO)


@each_network
def test_layers_parameters_and_detections(published: Published) -> None:
    network = ZOO[published.name]()
    net = network.net
    assert network.source == published.name
    assert (net.height, net.width, net.letter_box) == (published.size_px, published.size_px, True)
    assert len(network.layers) == published.layers
    assert cost(network).params == published.params
    outputs, spans = shapes(network), strides(network)
    heads = [(index, network.layers[index]) for index in detection_layers(network)]
    assert tuple(spans[index] for index, _ in heads) == published.strides
    assert published.predictions == sum(
        prod(outputs[index].size) * len(head.masked_anchors)
        for index, head in heads
        if isinstance(head, Detection)
    )


@each_network
def test_size_of_the_weights_file(published: Published) -> None:
    floats = sum(prod(shape) for shape in tensor_shapes(ZOO[published.name]()).values())
    size_bytes = HEADER_BYTES + 4 * floats
    if published.weights.endswith(" MiB"):
        assert_as_printed(size_bytes / 2**20, published.weights.removesuffix(" MiB"))
    elif published.weights:
        assert size_bytes == int(published.weights)


@each_network
def test_bflops(published: Published) -> None:
    network = ZOO[published.name]()
    for side, printed in published.bflops:
        bflops, expected = 2 * cost(network, side, side).macs / 1e9, float(printed)
        assert abs(bflops - expected) < max(unit(printed), 0.01 * expected)


def test_parameters_of_the_yolov7_paper() -> None:
    for name, millions in (("yolov7-tiny", "6.2"), ("yolov7", "36.9"), ("yolov7x", "71.3")):
        assert_as_printed(cost(ZOO[name]()).params / 1e6, millions)


def assert_as_printed(value: float, printed: str) -> None:
    """Rounded or truncated."""
    assert abs(value - float(printed)) < unit(printed)


def unit(printed: str) -> float:
    return float(10 ** -len(printed.partition(".")[2]))


WIRING: dict[str, dict[int, tuple[int, ...]]] = {
    "yolov2": {25: (16,), 27: (26,), 28: (27, 24)},
    "yolov3-tiny-3l": {17: (13,), 20: (19, 8), 24: (21,), 27: (26, 6)},
    "yolov3-tiny-prn": {13: (12, 10), 16: (15, 14), 19: (15,), 22: (21, 8), 24: (23, 21), 25: (24, 8)},
    "yolov4": {
        7: (6, 4), 9: (8, 2), 53: (52, 25), 113: (112, 110, 108, 107), 119: (85,), 121: (120, 118),
        129: (54,), 142: (141, 126), 153: (152, 116),
    },
    "yolov4-tiny": {3: (2,), 6: (5, 4), 8: (2, 7), 31: (27,), 34: (33, 23)},
    "yolov4-tiny-3l": {34: (33, 23), 38: (35,), 41: (40, 15)},
    "yolov4-sam-mish": {119: (85,), 129: (54,), 137: (136, 135), 144: (143, 126), 157: (156, 116)},
    "yolov4-csp": {
        109: (108, 106, 104, 103), 112: (111, 99), 116: (79,), 130: (48,), 147: (146, 127), 162: (161, 113),
    },
    "yolov4-csp-swish": {143: (142, 127), 154: (153, 113), 164: (141,), 168: (152,), 172: (163,)},
    "yolov4x-mish": {19: (18, 6), 132: (131, 117), 136: (94,), 152: (57,), 171: (170, 149), 188: (187, 133)},
    "yolov4-csp-x-swish": {167: (166, 149), 180: (179, 133), 192: (165,), 196: (178,), 200: (191,)},
    "yolov4-p5": {
        9: (8, 2), 77: (76, 28), 176: (130,), 192: (78,), 207: (206, 189), 220: (219, 173), 232: (205,),
        236: (218,), 240: (231,),
    },
    "yolov4-p6": {
        204: (158,), 220: (130,), 236: (78,), 251: (250, 233), 264: (263, 217), 277: (276, 201), 289: (249,),
        293: (262,), 297: (275,), 301: (288,),
    },
    "cspx-p7-mish": {
        226: (180,), 242: (152,), 258: (124,), 274: (72,), 289: (288, 271), 302: (301, 255), 315: (314, 239),
        328: (327, 223), 340: (287,), 343: (342, 341), 347: (300,), 354: (313,), 361: (326,), 368: (339,),
    },
    "yolov7-tiny": {
        7: (2, 4, 5, 6), 41: (40, 38, 36, 35), 43: (33, 42), 47: (24,), 59: (16,), 70: (69, 56),
        79: (78, 44), 87: (68,), 91: (77,), 95: (86,),
    },
    "yolov7": {
        11: (10, 8, 6, 4), 15: (12,), 18: (17, 14), 68: (62, 63, 65, 67), 71: (70, 58), 75: (42,),
        85: (84, 83, 82, 81, 80, 78), 89: (27,), 106: (105, 102, 86), 121: (120, 117, 72), 131: (100,),
        135: (115,), 139: (130,),
    },
    "yolov7x": {
        13: (12, 10, 8, 6, 4), 83: (48,), 99: (31,), 118: (117, 114, 96), 135: (134, 131, 80), 147: (112,),
        151: (129,), 155: (146,),
    },
    "csresnext50-panet-spp": {
        3: (1,), 8: (7, 4), 18: (17, 2), 22: (20,), 37: (36, 21), 95: (65,), 105: (38,), 118: (117, 102),
        129: (128, 92),
    },
    "enetb0-coco": {
        6: (5, 2), 23: (22, 14), 134: (133, 132), 137: (133,), 140: (139, 90), 142: (141, 139),
        143: (142, 90),
    },
    "mobilenetv2-yolov3-lite": {10: (9, 6), 64: (63, 61, 59, 58), 71: (65,), 73: (72, 48)},
}  # fmt: skip
"""Layers of the published files, by index, and what those read."""


@pytest.mark.parametrize("name", WIRING)
def test_wiring(name: str) -> None:
    sources = inputs(ZOO[name]())
    assert {index: sources[index] for index in WIRING[name]} == WIRING[name]


SCALED = ("logistic", 2.0, True)
"""Of the detections since Scaled-YOLOv4: sigmoids in front, and boxes from (2t)²."""


@pytest.mark.parametrize(
    ("name", "masks", "decoding"),
    [
        ("yolov3-tiny-prn", ["345", "123"], [("linear", 1.0, False)] * 2),
        ("yolov3-tiny-3l", ["678", "345", "012"], [("linear", 1.0, False)] * 3),
        ("yolov4-tiny", ["345", "123"], [("linear", 1.05, False)] * 2),
        ("yolov4-tiny-3l", ["678", "345", "012"], [("linear", 1.05, False)] * 3),
        ("yolov4", ["012", "345", "678"], [("linear", scale, False) for scale in (1.2, 1.1, 1.05)]),
        ("yolov4-csp", ["012", "345", "678"], [SCALED] * 3),
        ("yolov4-p5", ["0123", "4567", "89ab"], [SCALED] * 3),
        ("yolov4-p6", ["0123", "4567", "89ab", "cdef"], [SCALED] * 4),
        ("yolov7", ["012", "345", "678"], [SCALED] * 3),
        ("csresnext50-panet-spp", ["012", "345", "678"], [("linear", 1.0, False)] * 3),
        ("enetb0-coco", ["345", "123"], [("linear", 1.0, False)] * 2),
        ("mobilenetv2-yolov3-lite", ["345", "012"], [("linear", scale, False) for scale in (1.1, 1.05)]),
    ],
)
def test_masks_and_decoding(name: str, masks: list[str], decoding: list[tuple[str, float, bool]]) -> None:
    layers = ZOO[name]().layers
    found = []
    for front, head in pairwise(layers):
        if isinstance(head, Yolo):
            assert isinstance(front, Convolutional)
            assert not front.batch_normalize
            found.append((head.mask, (front.activation, head.scale_x_y, head.new_coords)))
    expected = [tuple(int(digit, 16) for digit in mask) for mask in masks]
    assert found == list(zip(expected, decoding, strict=True))


def test_anchors() -> None:
    def first_and_last(name: str) -> list[tuple[float, float]]:
        heads = [section for section in ZOO[name]().layers if isinstance(section, Detection)]
        return [heads[0].masked_anchors[0], heads[-1].masked_anchors[-1]]

    assert first_and_last("yolov2") == [(0.57273, 0.677385), (9.77052, 9.16828)]
    assert first_and_last("yolov2-voc") == [(1.3221, 1.73145), (11.2364, 10.0071)]
    assert first_and_last("yolov2-tiny-voc") == [(1.08, 1.19), (16.62, 10.52)]
    assert first_and_last("yolov3-tiny-3l") == [(91, 162), (13, 25)]
    assert first_and_last("yolov4") == [(12, 16), (459, 401)]
    assert first_and_last("yolov4-p5") == [(13, 17), (800, 800)]
    assert first_and_last("yolov4-p6") == [(13, 17), (1024, 1024)]
    assert first_and_last("cspx-p7-mish") == [(13, 17), (1408, 1408)]
    assert first_and_last("yolov7-tiny") == [(10, 13), (373, 326)]
    assert all(head.softmax for head in ZOO["yolov2"]().layers if isinstance(head, Region))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mobilenetv2-yolov3-nano", "MobileNetV2-YOLOv3-Nano-coco"),
        ("yolo-fastest-1.1", "yolo-fastest-1.1"),
        ("yolo-fastest-1.1-xl", "yolo-fastest-1.1-xl"),
    ],
)
def test_real_files_layer_for_layer(shared_data: Path, name: str, file: str) -> None:
    real = read_cfg(shared_data / "darknet" / f"{file}.cfg")
    ours = ZOO[name]()
    assert meaning(ours) == meaning(real)
    assert (ours.net.width, ours.net.height) == (real.net.width, real.net.height)
    floats = sum(prod(shape) for shape in tensor_shapes(ours).values())
    assert HEADER_BYTES + 4 * floats == (shared_data / "darknet" / f"{file}.weights").stat().st_size


def meaning(network: Network) -> list[dict[str, object]]:
    """Per layer what it reads and all that changes its output, however the cfg spells it."""
    return [
        {"kind": section.kind, "reads": sources} | numbers(section)
        for section, sources in zip(network.layers, inputs(network), strict=True)
    ]


def numbers(section: Section) -> dict[str, object]:
    spelling = {"extras", "comments", "notes", "line", "layers", "from_", "pad", "padding"}
    found = {spec.name: getattr(section, spec.name) for spec in fields(section) if spec.name not in spelling}
    return found | ({"padding_px": section.padding_px} if isinstance(section, Convolutional) else {})
