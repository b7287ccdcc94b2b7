"""Export to ONNX with box decoding inside, and optionally with non-maximum suppression.

Input `images` (N, 3, H, W) float32 RGB in [0, 1], or (N, 1, H, W) grey. Output `raw` (N, P, 5+C) as
`DarknetModel.forward` returns it, or with `nms` output `detections` (M, 7): index of the image in the batch,
x0, y0, x1, y1 in input pixels, score, class. `runtime/metadata.py` describes the metadata.

With `half` the file stores kernels as 16-bit floats, and the graph casts them to float32, which a runtime
does once when it loads the file: arithmetic remains float32, and the speed does not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import check_image_size
from seyolo.errors import ExportError, counted
from seyolo.exporting.nms import append_nms, reference_detections
from seyolo.exporting.opencv5 import wrong_in_int8
from seyolo.exporting.parity import (
    TOLERANCE,
    Images,
    Raw,
    Written,
    relative_error,
    require_parity,
    sample_image,
)
from seyolo.exporting.quantize import FUSED, STEPWISE, Fitted, Form, Image, fit_images, quantize
from seyolo.files import replacing
from seyolo.letterbox import Fit
from seyolo.options.export import FileOptions
from seyolo.progress import Advance, Progress, Silent
from seyolo.runtime.inference import Thresholds
from seyolo.runtime.metadata import file_metadata
from seyolo.runtime.onnx_mish import rewrite_mish
from seyolo.runtime.onnxruntime_backend import ONLY_ERRORS
from seyolo.runtime.protocol import FUSING
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.translation import to_onnx
from seyolo.translation.folding import fold_batch_norm

PLAIN = FileOptions()
KERNEL = ".weight"  # suffix of the names of kernels; biases, anchors and grids are small and remain float32
USUAL_THRESHOLDS = Thresholds()
ROUNDING_MARGIN = 5.0  # float32 programs round differently: times our model's distance from float64
MOST_ROUNDING = 2e-3


def export_onnx(
    model: DarknetModel,
    path: str | Path,
    options: FileOptions = PLAIN,
    images: Sequence[Image] = (),
    progress: Progress | None = None,
    *,
    size: tuple[int, int] | None = None,
    thresholds: Thresholds = USUAL_THRESHOLDS,
) -> Written:
    """Writes one self-contained ONNX file, once ONNX Runtime gives the model's output.

    Batch normalisation is folded in the file. With `half` the file is compared with the model of 16-bit
    kernels, with `int8` by the boxes that both find on `images`.

    Args:
        model: is not changed; the file is compared with it on its own device.
        path: of the file, replaced when all checks have passed.
        options: of the file.
        images: calibration set of int8, files or decoded images; `progress` shows the runs on them.
        size: (height, width) of the input in pixels; by default that of `[net]`.
        thresholds: of the suppression inside; `max_detections` counts per class.

    Raises:
        CfgError: `size` is no multiple of the largest stride.
        ExportError: ONNX Runtime gives another output than the model; nothing is written then.
    """
    size = size or (model.network.net.height, model.network.net.width)
    check_image_size(model.network, *size)
    net = model.network.net
    fitted = fit_images(images, Fit.of(net, size)) if options.int8 else []
    int8_form = _int8_form(options, model.network, size)
    num_images = 2 if options.dynamic_batch else 1
    sample = sample_image(*size, np.random.default_rng(0), num_images, net.channels)
    reference = with_rounded_kernels(model) if options.half else model
    proto, agreement = describe_onnx(reference, size, options.dynamic_batch), None
    with replacing(path) as temporary:
        if options.half:
            proto = _described(store_halves(proto), model, size)
        raw = _save_and_run(_form_for(options, proto), temporary, sample)
        require_equal_raw(raw, reference, sample, "ONNX Runtime")
        if options.int8:
            with shown_runs(fitted, progress) as shown:
                quantized, facts = quantize(proto, model.network, size, shown, int8_form)
            proto, agreement = _described(quantized, model, size, facts), facts["agreement"]
            raw = _save_and_run(_form_for(options, proto), temporary, sample)
        if options.nms:
            found = _save_and_run(append_nms(_form_for(options, proto), thresholds), temporary, sample)
            _require_equal_detections(found, reference_detections(raw, thresholds), thresholds.confidence)
    return Written((Path(path),), agreement)


@dataclass(frozen=True)
class _Shown(Fitted):
    """A calibration image that tells each run on it."""

    advance: Advance

    def batch(self) -> Float32[np.ndarray, "1 c h w"]:
        self.advance(1, "")
        return super().batch()


@contextmanager
def shown_runs(images: Sequence[Fitted], progress: Progress | None) -> Iterator[list[Fitted]]:
    """Yields images whose runs are shown: `quantize` needs three of each or more, as the network demands."""
    title = f"fitting int8 on {counted(len(images), 'image')}, 3 runs or more on each:"
    with (progress or Silent()).task(title, None) as advance:
        yield [_Shown(image.image, image.placement, advance) for image in images]


def check_onnx(model: DarknetModel, options: FileOptions) -> None:
    """Refuses (ExportError) a kernel too large for 16 bits, and layers that OpenCV 5 lacks in int8."""
    net = model.network.net
    if options.half:
        with_rounded_kernels(model)
    if options.int8:
        _int8_form(options, model.network, (net.height, net.width))


def with_rounded_kernels(model: DarknetModel, least: float = 0.0) -> DarknetModel:
    """Returns the model on its device with batch normalisation folded and kernels rounded to 16 bits.

    Magnitudes below `least` become zero.
    """
    folded = fold_batch_norm(to_checkpoint(model))
    state = dict(folded.state)
    for name, array in folded.state.items():
        if name.endswith(KERNEL):
            if np.abs(array).max(initial=0.0) > np.finfo(np.float16).max:  # 65504
                raise ExportError(f"{name}: a weight does not fit into 16 bits; export without --half")
            rounded = array.astype(np.float16).astype(np.float32)
            state[name] = np.where(np.abs(rounded) < least, np.float32(0), rounded)
    return from_checkpoint(replace(folded, state=state)).to(next(model.parameters()).device)


def store_halves(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy of a graph of rounded kernels that stores them in 16 bits."""
    result = deepcopy(proto)
    casts = []
    for tensor in result.graph.initializer:
        if tensor.name.endswith(KERNEL):
            name, stored = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), stored))
            casts.append(helper.make_node("Cast", [stored], [name], name=name, to=TensorProto.FLOAT))
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def describe_onnx(model: DarknetModel, size: tuple[int, int], dynamic_batch: bool = False) -> onnx.ModelProto:
    """Returns graph and metadata with batch normalisation folded; the graph is not checked."""
    return _described(to_onnx(fold_batch_norm(to_checkpoint(model)), size, dynamic_batch), model, size)


def require_equal_raw(actual: Raw, model: DarknetModel, images: Images, runtime: str) -> None:
    """Compares an output with the model's; where float32 does not suffice, with the model in float64.

    A hardly trained network magnifies rounding; the error of its own float32 output measures by how much.
    """
    raw = raw_output(model, images)
    if relative_error(actual, raw) > TOLERANCE:
        exact = raw_output(model, images, torch.float64)
        rounding = min(relative_error(raw, exact), MOST_ROUNDING)
        require_parity(actual, exact, runtime, max(TOLERANCE, ROUNDING_MARGIN * rounding))


def raw_output(model: DarknetModel, images: Images, precision: torch.dtype = torch.float32) -> Raw:
    """Returns the model's output, computed on its device by a copy in evaluation mode."""
    device = next(model.parameters()).device
    copy = from_checkpoint(to_checkpoint(model)).to(device, precision)
    # A GPU would otherwise round the factors of its convolutions to ten bits.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        raw: Tensor = copy(torch.from_numpy(images).to(device, precision))
    return raw.cpu().numpy()


def _described(
    proto: onnx.ModelProto, model: DarknetModel, size: tuple[int, int], int8: Mapping[str, Any] | None = None
) -> onnx.ModelProto:
    helper.set_model_props(proto, file_metadata(model.network, model.names, size, int8))
    return proto


def _int8_form(options: FileOptions, network: Network, size: tuple[int, int]) -> Form:
    if options.for_runtime in FUSING:
        return FUSED
    is_opencv = options.for_runtime == "opencv5"
    return replace(STEPWISE, also_float=frozenset(wrong_in_int8(network, size) if is_opencv else ()))


def _form_for(options: FileOptions, proto: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a graph in the form for a runtime, which no step of the export works on."""
    if options.for_runtime != "onnxruntime":
        return proto
    form = deepcopy(proto)
    rewrite_mish(form.graph)
    return form


def _save_and_run(proto: onnx.ModelProto, path: Path, images: Images) -> Any:
    onnx.save(proto, str(path))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ONLY_ERRORS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def _require_equal_detections(
    actual: Float32[np.ndarray, "m 7"], expected: Float32[np.ndarray, "n 7"], confidence: float
) -> None:
    """Compares boxes as sets; boxes whose score equals the threshold may differ."""
    clear = [rows[np.abs(rows[:, 5] - confidence) > TOLERANCE] for rows in (actual, expected)]
    found, wanted = (rows[np.lexsort((rows[:, 1], rows[:, 5], rows[:, 6], rows[:, 0]))] for rows in clear)
    same = found.shape == wanted.shape and np.array_equal(found[:, ::6], wanted[:, ::6])  # image, class
    if not same or relative_error(found[:, 1:6], wanted[:, 1:6]) > TOLERANCE:
        message = (
            f"suppression inside the ONNX file finds other boxes ({counted(len(actual), 'box')} instead of"
        )
        raise ExportError(f"{message} {len(expected)}); nothing was written")
