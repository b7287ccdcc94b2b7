"""MNN: the file gives the model's output, on every kind of layer, or is refused by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.one_section import FRONT, HEAD, NETWORKS
from helpers.random_weights import calibrated
from helpers.small_models import IMAGES, error, small
from helpers.small_networks import random_images
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BackendError, ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.runtime.choice import open_backend

pytest.importorskip("MNN", reason="needs seyolo[mnn]")
LAYERS = ["activation selu", "reorg", "reorg3d", "pool of 4", "local average", "shortcut of a larger layer"]


def test_the_file_is_the_model(tmp_path: Path) -> None:
    model = small()
    paths = export(model, tmp_path / "new/x.mnn")
    assert [path.name for path in paths] == ["x.mnn", "x.mnn.json"]
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    backend = open_backend(paths[0])
    assert (backend.name, backend.names, backend.input_size) == ("mnn", ("left", "right"), (64, 64))
    assert error(model, paths[0], IMAGES) < 1e-5


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_runtimes_take_for_others(tmp_path: Path, name: str) -> None:
    """MNN itself has the channels of SpaceToDepth in another order."""
    images = random_images(32, 64)
    model = calibrated(parse_cfg(FRONT + NETWORKS[name][0] + HEAD, "x.cfg"), images)
    path, _ = export(model, tmp_path / "x.mnn")
    assert error(model, path, images) < 1e-5


@pytest.mark.parametrize(
    "name",
    [
        "yolov3-tiny@0.25",
        "cbam-yolov3-tiny@0.25",
        "eca-yolov3-tiny@0.25",
        "coordatt-yolov3-tiny@0.25",
        "simam-yolov3-tiny@0.25",
    ],
)
def test_networks_of_the_zoo(tmp_path: Path, name: str) -> None:
    """The usual Winograd tiles of MNN are off by 1e-3 and more."""
    images = random_images(96, 96)
    model = calibrated(set_size(network_from_name(name, num_classes=2), 96, 96), images)
    path, _ = export(model, tmp_path / "x.mnn")
    assert error(model, path, images) < 2e-5


def test_options_that_mnn_has_not(tmp_path: Path) -> None:
    for option in ("nms", "dynamic_batch", "int8", "half"):
        with pytest.raises(UsageError, match=r"MNN has no .*; export to \.onnx"):
            export(small(), tmp_path / "x.mnn", **{option: True})
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path, about = export(small(), tmp_path / "x.mnn")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BackendError, match=r"x\.mnn: is not the file that x\.mnn\.json describes"):
        open_backend(path)
    about.unlink()
    with pytest.raises(BackendError, match=r"x\.mnn\.json: there is no such file, which belongs to x\.mnn"):
        open_backend(path)
    with pytest.raises(BackendError, match="there is no such model file"):
        open_backend(tmp_path / "y.mnn")


def test_a_converter_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seyolo.exporting import mnn as exporter  # noqa: PLC0415

    monkeypatch.setattr(exporter, "_CALL", "print('no such operator')")
    with pytest.raises(ExportError, match=r"MNN cannot convert this network \(.*no such operator"):
        export(small(), tmp_path / "x.mnn")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed_on_stdout_or_reported(tmp_path: Path) -> None:
    """MNN prints what the processor can; its program `mnnconvert` reports to a server."""
    path, _ = export(small(), tmp_path / "x.mnn")
    script = (
        "import sys; from seyolo.runtime.choice import open_backend; import seyolo.exporting.mnn\n"
        f"open_backend({str(path)!r})\n"
        "assert not [name for name in sys.modules if name.startswith('MNN.tools')]"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_batches_run_one_by_one(tmp_path: Path) -> None:
    path, _ = export(small(), tmp_path / "x.mnn")
    backend = open_backend(path)
    both = backend.infer(IMAGES.numpy())
    np.testing.assert_array_equal(both[1:], backend.infer(IMAGES[1:].numpy()))
