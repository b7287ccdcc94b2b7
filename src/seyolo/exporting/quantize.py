"""Int8 by static calibration: the graph of `translate` with convolutions in bytes.

Kernels become signed bytes with a scale per output channel (`rounding.py`), activations unsigned bytes with
a range measured on a calibration set. The two runtimes fuse different graphs, so each has its `Form`:
- ONNX Runtime computes single operators in bytes: convolutions, activations, sums and the gates' products.
- OpenVINO fuses a convolution with the activation behind it, so only what a convolution reads becomes bytes;
  gates and sums are float32, and the convolution that reads the image is int8.

These layers remain float32 in both:
- decoding, and the detection convolutions, whose outputs become box sizes by an exponential;
- for ONNX Runtime up to two cheap convolutions in front of the finest detection convolution, because rounding
  in front of an activation costs most on small objects;
- convolutions of a single cell, as in gates, which cost nothing, and the gates that Darknet does not have,
  which are mostly no convolutions.
"""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnxruntime
from jaxtyping import Float32, UInt8
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorsData

from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import Cost, cost
from seyolo.darknet.graph import inputs
from seyolo.darknet.sections import Convolutional, Detection
from seyolo.detections import Detections
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.parity import LEAST_AGREEMENT, UNSURE, Raw, box_agreement, require_agreement
from seyolo.exporting.rounding import fitted_kernels, put_kernels
from seyolo.letterbox import Fit, Placement, to_tensor
from seyolo.media.images import read_image
from seyolo.processor import granted_cores
from seyolo.runtime.inference import Infer, Thresholds, suppressed
from seyolo.runtime.onnxruntime_backend import session_options
from seyolo.translation import IMAGES, RAW

LEAST_IMAGES = 8
USUAL_IMAGES = 128
Item = TypeVar("Item")
MOST_AT_FINEST, CHEAP = 2, 0.05  # convolutions before the finest head in float32: number, fraction of MACs
ROUNDED_ON = 24  # images on which kernels are rounded
SPOILS = 0.5  # error of the first convolution alone, as a share of that of all others
RANKED_ON = 4  # images on which layers are ranked when some of them must become float32 again
Image = str | Path | UInt8[np.ndarray, "H W 3"]  # A file, or a decoded image in OpenCV's BGR order


@dataclass(frozen=True)
class Form:
    """A graph in int8 as one runtime computes it fastest; all other operators remain float32."""

    operators: frozenset[str]  # computed in bytes
    fuses: bool = False  # a convolution with what follows: rounded is only what a convolution reads
    also_float: frozenset[int] = frozenset()  # layers that it computes wrongly in int8


STEPWISE = Form(
    frozenset("Conv LeakyRelu Relu Clip Sigmoid Add Mul Concat MaxPool GlobalAveragePool Resize".split())
)
FUSED = Form(frozenset("Conv Concat MaxPool Resize".split()), fuses=True)


@dataclass(frozen=True)
class Fitted:
    """A letterboxed image in levels of 0 to 255, and the position of its source."""

    image: UInt8[np.ndarray, "h w *c"] | Float32[np.ndarray, "h w *c"]
    placement: Placement

    def batch(self) -> Float32[np.ndarray, "1 c h w"]:  # equal to the input in `Detector`
        return to_tensor(self.image)[None]


def calibration_images(images: Sequence[Item], count: int | None = None) -> list[Item]:
    """Returns at most `count` (by default 128) of the images, evenly spread, since neighbours look alike."""
    count = USUAL_IMAGES if count is None else count
    chosen = np.linspace(0, len(images) - 1, max(0, min(count, len(images)))).astype(int)
    return [images[index] for index in chosen]


def fit_images(images: Sequence[Image], fit: Fit) -> list[Fitted]:
    """Letterboxes `LEAST_IMAGES` or more images to a network's input, as `Detector` does."""
    if len(images) < LEAST_IMAGES:
        advice = f"{LEAST_IMAGES} at least and better a hundred"
        raise UsageError(f"int8 needs images to measure on, {advice}; got {len(images)}")
    decoded = (read_image(item) if isinstance(item, str | Path) else item for item in images)
    return [Fitted(*fit.image(image)) for image in decoded]


def quantize(
    proto: onnx.ModelProto,
    network: Network,
    size: tuple[int, int],
    images: Sequence[Fitted],
    form: Form = STEPWISE,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Quantizes the graph of `to_onnx` in a runtime's form; returns it with calibration statistics.

    Layers become float32 again, the most sensitive first and twice as many each time, until the detections on
    the images agree with those of the float graph; so does a first convolution that spoils much. Statistics:
    `pictures` (number of images), `agreement` (share of equal boxes) and `float_layers` (layers that became
    float32 again).

    Raises:
        ExportError: a quarter of the layers in float32 does not suffice, there are no detections, or no layer
            can become int8.
    """
    calibration = Calibration(proto, float_layers(network, size, form), images, form)
    expected = find(on_onnxruntime(proto), images)
    put_back = calibration.spoilers()
    while True:
        candidate = calibration.quantized(calibration.layers - set(put_back))
        found = find(on_onnxruntime(candidate), images)
        num_float = 2 * len(put_back) or 1
        enough = not box_agreement(expected, found) < LEAST_AGREEMENT
        if enough or num_float > len(calibration.convolutions) // 4:
            break
        put_back = calibration.ranking[:num_float]
    other_form = (".onnx without --for",) if form.fuses else ()
    agreement = require_agreement(expected, found, "ONNX Runtime", *other_form)
    candidate = with_windows(candidate, network, size, form)
    return candidate, {"pictures": len(images), "agreement": agreement, "float_layers": sorted(put_back)}


def float_layers(network: Network, size: tuple[int, int], form: Form = STEPWISE) -> set[int]:
    """Returns the layers that always remain float32 in a form, listed at the top of this file."""
    wiring, counted = inputs(network), cost(network, *size)
    layers = set(form.also_float)
    if not form.fuses:
        layers |= _in_front_of_the_finest(network, wiring, counted)
    for index, section in enumerate(network.layers):
        if isinstance(section, Detection):
            layers |= {index, *_back_to_convolutions(network, wiring, index)}
        is_single = isinstance(section, Convolutional) and counted.layers[index].shape.size == (1, 1)
        reads_image = -1 in wiring[index] and not form.fuses
        if is_single or not section.in_darknet or reads_image:
            layers.add(index)
    return layers


def with_windows(
    proto: onnx.ModelProto, network: Network, size: tuple[int, int], form: Form
) -> onnx.ModelProto:
    """Returns the graph with global averages as windows, which OpenVINO computes in a third of the time."""
    wiring, counted = inputs(network), cost(network, *size)
    for node in proto.graph.node:
        if node.op_type == "GlobalAveragePool" and form.fuses:
            (source,) = wiring[_layer_of(node)]
            node.op_type = "AveragePool"
            window = helper.make_attribute("kernel_shape", counted.layers[source].shape.size)
            node.attribute.append(window)
    return proto


def _back_to_convolutions(network: Network, wiring: Sequence[Sequence[int]], layer: int) -> Iterator[int]:
    """Yields the nearest convolutions in front of a layer and the layers between."""
    for source in wiring[layer]:
        yield source
        if source >= 0 and not isinstance(network.layers[source], Convolutional):
            yield from _back_to_convolutions(network, wiring, source)


def _in_front_of_the_finest(network: Network, wiring: Sequence[Sequence[int]], counted: Cost) -> set[int]:
    """Returns the last convolutions that only the finest detection layer reads, as long as they are cheap."""
    detections = [index for index, section in enumerate(network.layers) if isinstance(section, Detection)]
    finest = max(detections, key=lambda index: math.prod(counted.layers[index].shape.size))
    num_readers = Counter(source for sources in wiring for source in sources)
    kept: list[int] = []
    (index,) = wiring[finest]
    macs = 0
    while len(wiring[index]) == 1 and num_readers[wiring[index][0]] == 1 and len(kept) < MOST_AT_FINEST:
        (index,) = wiring[index]
        macs += counted.layers[index].macs
        if not isinstance(network.layers[index], Convolutional) or macs > CHEAP * counted.macs:
            break
        kept.append(index)
    return set(kept)


def find(infer: Infer, images: Sequence[Fitted]) -> list[Detections]:
    """Returns the detections of a network in each image, down to a confidence of `UNSURE`."""
    least = Thresholds(UNSURE)
    return [suppressed(infer(image.batch()), [image.placement], least)[0] for image in images]


def on_onnxruntime(proto: onnx.ModelProto) -> Infer:
    """Opens a graph with the output `raw` on ONNX Runtime."""
    session = _open(proto)
    return lambda batch: session.run([RAW], {IMAGES: batch})[0]


def _open(proto: onnx.ModelProto) -> Any:
    data, options = proto.SerializeToString(), session_options(granted_cores())
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


class Calibration:
    """A float graph, its layers that may become int8, and the range of every value on the calibration set."""

    def __init__(
        self,
        proto: onnx.ModelProto,
        kept_float: Collection[int],
        images: Sequence[Fitted],
        form: Form = STEPWISE,
    ) -> None:
        self._proto, self._images, self._form = proto, images, form
        operators = form.operators
        nodes = [node for node in proto.graph.node if node.op_type in operators and RAW not in node.output]
        self._nodes = [(layer, node) for node in nodes if (layer := _layer_of(node)) not in kept_float]
        if not self._nodes:
            raise ExportError("no layer of this network can become int8; export without --int8")
        measured = _measure_ranges(proto, [node for _, node in self._nodes], images)
        self._ranges = measured | {IMAGES: (np.float32(0), np.float32(1))}  # so that levels stay exact
        self.layers = {layer for layer, _ in self._nodes}
        self.convolutions = {layer for layer, node in self._nodes if node.op_type == "Conv"}
        convolutions = [node for _, node in self._nodes if node.op_type == "Conv"]
        self._kernels = fitted_kernels(proto, convolutions, self._run)

    def _run(self, graph: onnx.ModelProto, names: list[str]) -> Iterator[Sequence[np.ndarray]]:
        """Yields values of a graph for each image that kernels are rounded on."""
        session = _open(graph)
        outputs = [name for name in names if name != IMAGES]
        for image in calibration_images(self._images, ROUNDED_ON):
            batch = image.batch()
            found = dict(zip(outputs, session.run(outputs, {IMAGES: batch}), strict=True)) if outputs else {}
            yield [found[name] if name != IMAGES else batch for name in names]

    def quantized(self, layers: Collection[int]) -> onnx.ModelProto:
        """Returns the graph with these layers in int8."""
        names = [node.name for layer, node in self._nodes if layer in layers]
        result = _insert_conversions(self._proto, names, self._ranges, self._form)
        put_kernels(result, self._kernels)
        return result

    def spoilers(self) -> list[int]:
        """Returns the layer that reads the image where its error counts beside that of all others.

        A rounding error in front of everything does most harm; whether it does is chance.
        """
        first = min(self.layers, default=0)
        if not self._form.fuses or first not in self.convolutions or self.layers == {first}:
            return []
        images = self._images[:LEAST_IMAGES]
        expected = _outputs(self._proto, images)
        alone, others = (
            _distance(_outputs(self.quantized(layers), images), expected)
            for layers in ({first}, self.layers - {first})
        )
        return [first] if alone > SPOILS * others else []

    @cached_property
    def ranking(self) -> list[int]:
        """The convolutions by the error of the output when only they are int8, the largest first."""
        images = self._images[:RANKED_ON]
        expected = _outputs(self._proto, images)
        harm = {i: _distance(_outputs(self.quantized([i]), images), expected) for i in self.convolutions}
        return sorted(harm, key=lambda layer: -harm[layer])


def _layer_of(node: onnx.NodeProto) -> int:
    match = re.match(r"layer(\d+)_", node.name)
    assert match, f"node {node.name!r} is of no layer"
    return int(match[1])


def _outputs(proto: onnx.ModelProto, images: Sequence[Fitted]) -> Raw:
    infer = on_onnxruntime(proto)
    return np.concatenate([infer(image.batch()) for image in images])


def _distance(actual: Raw, expected: Raw) -> float:
    """Returns the error of predictions, weighted by objectness: of box sides (at most 1) and of scores."""
    likelihood = expected[..., 4:5]
    off = np.abs(actual - expected)
    boxes = np.minimum(off[..., :4], expected[..., [2, 3, 2, 3]]) / expected[..., [2, 3, 2, 3]]
    return float(((boxes * likelihood).sum() + off[..., 4:].sum()) / likelihood.sum())


def _measure_ranges(
    proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], images: Sequence[Fitted]
) -> dict[str, tuple[np.float32, np.float32]]:
    """Returns the smallest and largest value of every input and output of the nodes on all images."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    values = {name for node in nodes for name in (*node.input, *node.output) if name} - constants
    names = sorted(values)
    probe, outputs = copy.deepcopy(proto), []
    for kind in ("ReduceMin", "ReduceMax"):
        for name in names:
            outputs.append(f"{kind} {name}")
            probe.graph.node.append(helper.make_node(kind, [name], outputs[-1:], keepdims=0))
            probe.graph.output.append(helper.make_tensor_value_info(outputs[-1], TensorProto.FLOAT, []))
    session = _open(probe)
    extremes = np.array([session.run(outputs, {IMAGES: image.batch()}) for image in images])
    low, high = extremes[:, : len(names)].min(axis=0), extremes[:, len(names) :].max(axis=0)
    return dict(zip(names, zip(low, high, strict=True), strict=True))


def _insert_conversions(
    proto: onnx.ModelProto,
    nodes: Sequence[str],
    ranges: Mapping[str, tuple[np.float32, np.float32]],
    form: Form,
) -> onnx.ModelProto:
    """Returns the graph with conversions to bytes and back around these nodes, which a runtime fuses."""
    quantizer = QDQQuantizer(
        proto,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, dict(ranges)),
        nodes_to_quantize=list(nodes),
        nodes_to_exclude=[],
        op_types_to_quantize=list(form.operators),
        extra_options={"OpTypesToExcludeOutputQuantization": ["Conv"] if form.fuses else []},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    quantized.producer_name, quantized.producer_version = proto.producer_name, proto.producer_version
    # The quantizer adds inferred shapes.
    del quantized.graph.value_info[:]
    return quantized
