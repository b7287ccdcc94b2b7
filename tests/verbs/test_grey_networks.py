"""Networks of one channel (`channels=1`) in every verb: a picture becomes grey, wherever it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import seyolo
from helpers.spot_detector import SIZE_PX, draw_spots, spot_detector, spot_image, spot_images, write_spots
from seyolo.darknet.cfg import parse_cfg, read_cfg
from seyolo.errors import BackendError, CfgError
from seyolo.options.cut import CutOptions
from seyolo.options.detect import ServeOptions
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.verbs.prune import prune_file
from seyolo.web.detection import ServedModel

FORMATS: dict[str, dict[str, Any]] = {
    "plain.onnx": {},
    "dynamic.onnx": {"dynamic_batch": True},
    "half.onnx": {"half": True},
    "int8.onnx": {"int8": True},
    "plain.xml": {},
    "int8.xml": {"int8": True},
    "net.cfg": {},
    "net.safetensors": {},
}
RUNTIMES = ["net.cfg@opencv", "net.cfg@torch", "net.cfg@onnxruntime", "net.cfg@openvino"]
CASE = Path(__file__).resolve().parents[3] / "shared" / "cases" / "darknet" / "grey_net" / "gray.cfg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every format of a grey network that finds bright spots, and a data set of spots."""
    folder = tmp_path_factory.mktemp("grey")
    for name, options in FORMATS.items():
        pictures = spot_images(8) if "int8" in options else ()
        seyolo.export(spot_detector(channels=1), folder / name, **options, pictures=pictures)
    write_spots(folder / "data", train=8, val=4, test=4)
    return folder


def opened(folder: Path, name: str) -> Backend:
    file, _, runtime = name.partition("@")
    return open_backend(folder / file, runtime=runtime or None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*FORMATS, *RUNTIMES])
def test_it_finds_what_the_colour_network_finds(folder: Path, name: str) -> None:
    """Spots are grey, so both networks see the same."""
    if name.endswith("@opencv") and not hasattr(cv2.dnn, "readNetFromDarknet"):
        pytest.skip("this OpenCV no longer reads Darknet files")
    colour = seyolo.Detector(seyolo_backend(folder))
    backend = opened(folder, name)
    assert backend.input_channels == 1  # type: ignore[attr-defined]
    for image in [*spot_images(4), cv2.resize(spot_images(1)[0], (200, 200))]:
        ours, theirs = seyolo.Detector(backend).detect(image), colour.detect(image)
        assert len(ours) == len(theirs) > 0
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.5 if "int8" not in name else 3)


def seyolo_backend(folder: Path) -> Backend:
    seyolo.save(spot_detector(), folder / "colour.safetensors")
    return open_backend(folder / "colour.safetensors")


def test_grey_is_luma_of_the_whole_photo(folder: Path) -> None:
    """(0.299 R + 0.587 G + 0.114 B), rounded to bytes before the photo is resized."""
    backend = opened(folder, "plain.onnx")
    image = np.random.default_rng(0).integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    seen = []
    infer = backend.infer
    backend.infer = lambda batch: seen.append(batch) or infer(batch)  # type: ignore[func-returns-value, method-assign]
    seyolo.Detector(backend).detect(image)
    by_hand = np.rint(image @ np.array([0.114, 0.587, 0.299]))
    assert seen[0].shape == (1, 1, SIZE_PX, SIZE_PX)
    np.testing.assert_allclose(seen[0][0, 0] * 255, by_hand, atol=1)


def test_val_and_benchmark(folder: Path) -> None:
    data = folder / "data" / "data.yaml"
    for name in ("plain.onnx", "net.cfg", "net.safetensors"):
        assert seyolo.evaluate(folder / name, data)["test"].ap50 > 0.9
    (row,) = seyolo.benchmark(str(folder / "net.cfg"), data, repeats=1)
    assert row.metrics["test"].ap50 > 0.9


def test_serve(folder: Path) -> None:
    spots = draw_spots(np.random.default_rng(5))
    data = cv2.imencode(".png", spot_image(spots))[1].tobytes()
    answer = ServedModel("grey", opened(folder, "net.cfg")).detect(data, 0.3, 0.5, ServeOptions())
    assert len(answer["detections"]) == len(spots)  # type: ignore[arg-type]


def test_train_keeps_the_channel_and_slim_files_have_it(folder: Path, tmp_path: Path) -> None:
    data = folder / "data" / "data.yaml"
    small: dict[str, Any] = {"epochs": 1, "batch": 4, "size": SIZE_PX}
    trained = seyolo.train(
        data, folder / "net.cfg", folder=tmp_path / "run", weights=folder / "net.weights", **small
    )
    assert trained.model.network.net.channels == 1
    assert (tmp_path / "run" / "train_batch.jpg").is_file()
    dense, slim_file = tmp_path / "run" / "best.safetensors", tmp_path / "slim.safetensors"
    plan = prune_file(dense, slim_file, data=data, budget="macs=60%", cut=CutOptions(multiple=2))
    assert plan.macs < plan.dense_macs
    slim = seyolo.load(slim_file)
    assert slim.network.net.channels == 1
    seyolo.export(slim, tmp_path / "slim.onnx")
    assert opened(tmp_path, "slim.onnx").infer(np.zeros((1, 1, SIZE_PX, SIZE_PX), np.float32)).shape[2] == 6


def test_other_numbers_of_channels_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(CfgError, match=r"\[net\] channels=4: an image has 3 channels .* or 1 \(grey\)"):
        parse_cfg((folder / "net.cfg").read_text().replace("channels=1", "channels=4"))
    backend = opened(folder, "plain.onnx")
    with pytest.raises(BackendError, match=r"expected images of shape \(1, 64, 64\), got \(3, 64, 64\)"):
        backend.infer(np.zeros((1, 3, SIZE_PX, SIZE_PX), np.float32))


@pytest.mark.skipif(not CASE.is_file(), reason=f"needs the shared cases ({CASE} is absent)")
def test_the_grey_case(tmp_path: Path) -> None:
    assert read_cfg(CASE).net.channels == 1
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    model = seyolo.load(CASE, CASE.with_suffix(".weights"))
    seyolo.export(model, tmp_path / "gray.onnx")
    found = [
        seyolo.Detector(path, weights, confidence=0.001).detect(photo)
        for path, weights in ((CASE, CASE.with_suffix(".weights")), (tmp_path / "gray.onnx", None))
    ]
    assert len(found[0]) == len(found[1]) > 0
    np.testing.assert_allclose(found[0].boxes, found[1].boxes, atol=1e-3)
