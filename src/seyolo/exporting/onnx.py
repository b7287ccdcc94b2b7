"""Export to ONNX with decoding inside, and non-maximum suppression too if asked.

Input `images` (N, 3, H, W) float32 RGB in [0, 1]. Output `raw` (N, P, 5+C) as `DarknetModel.forward`
gives it, or with `nms=True` output `detections` (M, 7): image number in the batch, x0, y0, x1, y1 in
input pixels, score, class. The metadata tells a runtime the rest: `names` and `input_size` (JSON),
`letterbox` (`letterbox` or `stretch`), `cfg`, `producer`, and of an int8 file `int8` (JSON, see `quantize`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float32

from seyolo.darknet.graph import check_image_size
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.half import round_kernels, store_halves
from seyolo.exporting.nms import append_nms, reference_detections
from seyolo.exporting.parity import TOLERANCE, relative_error, require_parity, sample_image
from seyolo.exporting.quantize import Image, fit_images, quantize
from seyolo.exporting.translate import to_onnx
from seyolo.files import replacing
from seyolo.runtime.metadata import file_metadata
from seyolo.runtime.onnxruntime_backend import ONLY_ERRORS
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.folding import fold_batch_norm

ROUNDING_MARGIN = 5.0
"""Two float32 programs round differently, so both may be this much further from float64 than ours is."""
MOST_ROUNDING = 2e-3


def export_onnx(
    model: DarknetModel,
    path: str | Path,
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    half: bool = False,
    int8: bool = False,
    images: Sequence[Image] = (),
    size: tuple[int, int] | None = None,
    confidence: float = 0.25,
    iou_threshold: float = 0.6,
    max_detections: int = 300,
) -> Path:
    """Writes one self-contained ONNX file, after ONNX Runtime has given what the model gives.

    Args:
        model: stays as it is; batch normalisation is folded in the file. It is compared on its own device.
        path: of the file, replaced when all checks have passed.
        nms: suppression inside, with the three settings below; `max_detections` counts per class.
        dynamic_batch: any number of images at once instead of one.
        half: kernels stored in 16 bits; the file is compared with the model of such kernels.
        int8: convolutions in bytes, see `quantize`; compared by what both find on `images`.
        images: to measure int8 on, files or decoded images, best of the training data.
        size: (height, width) in pixels, the one of `[net]` by default.
        confidence, iou_threshold: smallest score kept, overlap above which the worse box goes; in [0, 1].

    Raises:
        CfgError: `size` is no multiple of the largest stride.
        UsageError: options that exclude each other, or too few images.
        ExportError: ONNX Runtime gives another output than the model; nothing is written then.
    """
    if not (0 <= confidence <= 1 and 0 <= iou_threshold <= 1 and max_detections > 0):
        raise UsageError("confidence and IoU threshold lie in [0, 1], max_detections is at least 1")
    check_precision(half, int8, images)
    size = size or (model.network.net.height, model.network.net.width)
    check_image_size(model.network, *size)
    fitted = fit_images(images, size, model.network.net.letterbox_mode) if int8 else []
    sample = sample_image(*size, np.random.default_rng(0), num_images=2 if dynamic_batch else 1)
    reference = with_rounded_kernels(model) if half else model
    proto = describe_onnx(reference, size, dynamic_batch)
    with replacing(path) as temporary:
        if half:
            proto = _described(store_halves(proto), model, size)
        raw = _save_and_run(proto, temporary, sample)
        require_equal_raw(raw, reference, sample, "ONNX Runtime")
        if int8:
            quantized, facts = quantize(proto, model.network, size, fitted)
            proto = _described(quantized, model, size, facts)
            raw = _save_and_run(proto, temporary, sample)
        if nms:
            onnx.save(append_nms(proto, confidence, iou_threshold, max_detections), str(temporary))
            expected = reference_detections(raw, confidence, iou_threshold, max_detections)
            _require_equal_detections(_run(temporary, sample), expected, confidence)
    return Path(path)


def check_precision(half: bool, int8: bool, images: Sequence[Image]) -> None:
    """Refuses options that exclude each other.

    Raises:
        UsageError: both precisions, or images that nothing is measured on.
    """
    if half and int8:
        raise UsageError("a file holds 16-bit kernels or int8, not both")
    if images and not int8:
        raise UsageError("images are for int8 only; ask for it, or leave them out")


def with_rounded_kernels(model: DarknetModel) -> DarknetModel:
    """The model on its device with batch normalisation folded and kernels as 16 bits hold them."""
    rounded = from_checkpoint(round_kernels(fold_batch_norm(to_checkpoint(model))))
    return rounded.to(next(model.parameters()).device)


def describe_onnx(model: DarknetModel, size: tuple[int, int], dynamic_batch: bool = False) -> onnx.ModelProto:
    """The graph and its metadata, compared with nothing yet; batch normalisation is folded in it."""
    return _described(to_onnx(fold_batch_norm(to_checkpoint(model)), size, dynamic_batch), model, size)


def require_equal_raw(
    actual: Float32[np.ndarray, "N P columns"],
    model: DarknetModel,
    images: Float32[np.ndarray, "N 3 H W"],
    runtime: str,
) -> None:
    """Compares with the model; where that is beyond float32, with the model in float64.

    A network that is hardly trained can magnify rounding to more than `TOLERANCE`. How much it does, its own
    float32 output shows.
    """
    raw = _infer(model, images, torch.float32)
    if relative_error(actual, raw) > TOLERANCE:
        exact = _infer(model, images, torch.float64)
        rounding = min(relative_error(raw, exact), MOST_ROUNDING)
        require_parity(actual, exact, runtime, max(TOLERANCE, ROUNDING_MARGIN * rounding))


def _infer(
    model: DarknetModel, images: Float32[np.ndarray, "N 3 H W"], precision: torch.dtype
) -> Float32[np.ndarray, "N P columns"]:
    """The model's own output on the device it is on, from a copy in evaluation mode."""
    device = next(model.parameters()).device
    copy = from_checkpoint(to_checkpoint(model)).to(device, precision)
    # A GPU would otherwise round the factors of its convolutions to ten bits.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        raw: Float32[np.ndarray, "N P columns"] = (
            copy(torch.from_numpy(images).to(device, precision)).cpu().numpy()
        )
    return raw


def _described(
    proto: onnx.ModelProto,
    model: DarknetModel,
    size: tuple[int, int],
    int8: Mapping[str, object] | None = None,
) -> onnx.ModelProto:
    onnx.helper.set_model_props(proto, file_metadata(model.network, model.names, size, int8))
    return proto


def _save_and_run(proto: onnx.ModelProto, path: Path, images: Float32[np.ndarray, "N 3 H W"]) -> Any:
    onnx.save(proto, str(path))
    return _run(path, images)


def _run(path: Path, images: Float32[np.ndarray, "N 3 H W"]) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ONLY_ERRORS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def _require_equal_detections(
    actual: Float32[np.ndarray, "m 7"], expected: Float32[np.ndarray, "n 7"], confidence: float
) -> None:
    """Compares suppressed boxes as sets; those whose score lies on the threshold may differ."""
    clear = [rows[np.abs(rows[:, 5] - confidence) > TOLERANCE] for rows in (actual, expected)]
    ordered = [rows[np.lexsort((rows[:, 1], rows[:, 5], rows[:, 6], rows[:, 0]))] for rows in clear]
    columns = slice(1, 6)
    same = ordered[0].shape == ordered[1].shape and np.array_equal(ordered[0][:, ::6], ordered[1][:, ::6])
    if not same or relative_error(ordered[0][:, columns], ordered[1][:, columns]) > TOLERANCE:
        counts = f"{len(actual)} boxes instead of {len(expected)}"
        raise ExportError(
            f"suppression inside the ONNX file finds other boxes ({counts}); nothing was written"
        )
