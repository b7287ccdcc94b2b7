"""Darknet files: both, right, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import ExportError
from seyolo.exporting.darknet import export_darknet
from seyolo.exporting.formats import export
from seyolo.opening import network as models
from seyolo.opening.network import load, open_model

IMAGES = random_images(64, 64)


def test_exported_files_are_the_model(tmp_path: Path) -> None:
    model = calibrated(network_from_name("se-yolov3@0.125", num_classes=2), IMAGES)
    cfg, weights = export(model, tmp_path / "new" / "slim.cfg")
    assert sorted(file.name for file in cfg.parent.iterdir()) == ["slim.cfg", "slim.weights"]
    with torch.no_grad():
        assert torch.equal(load(cfg, weights)(IMAGES), model(IMAGES))


def test_class_names_are_written_beside(tmp_path: Path) -> None:
    names = ["left hand", "right\nhand"]
    model = calibrated(network_from_name("yolov3-tiny@0.125", num_classes=2), IMAGES)
    model.names = tuple(names)
    cfg, _, written = export(model, tmp_path / "slim.cfg")
    assert written == tmp_path / "slim.names"
    assert written.read_text() == "left hand\nright hand\n"
    assert open_model(cfg).names == ("left hand", "right hand")


def test_cbam_is_refused_by_name_and_onnx_proposed(tmp_path: Path) -> None:
    model = calibrated(network_from_name("cbam-yolov3-tiny@0.125", num_classes=1), IMAGES)
    with pytest.raises(ExportError, match=r"CBAM.*ONNX"):
        export(model, tmp_path / "slim.cfg")
    assert list(tmp_path.iterdir()) == []


def test_files_that_read_back_differently_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(path: Path, network: object, state: dict[str, np.ndarray]) -> None:
        real(path, network, state | {"layers.0.bn.bias": state["layers.0.bn.bias"] + 1})  # type: ignore[arg-type]

    real = models.write_weights
    monkeypatch.setattr(models, "write_weights", wrong)
    with pytest.raises(ExportError, match="read back as another network"):
        export_darknet(calibrated(small_network(CONVOLUTION), IMAGES), tmp_path / "x.cfg")
    assert list(tmp_path.iterdir()) == []
