"""A cfg and a checkpoint as ONNX in memory: what is copied, what is imported, what the files in hand find."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from helpers.one_section import CONV, convolution, write_network
from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.weights import tensor_shapes, write_weights
from seyolo.errors import WeightsError
from seyolo.exporting.parity import relative_error
from seyolo.opening.network import load, save
from seyolo.runtime.choice import open_backend
from seyolo.runtime.in_memory import translate_file
from seyolo.runtime.protocol import Session

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "darknet"
HARD = sorted([*CASES.glob("opencv_misreads/*.cfg"), *CASES.glob("opencv_refuses/*.cfg")])


def test_the_graph_names_the_weights_and_does_not_hold_them(tmp_path: Path) -> None:
    cfg = write_network(tmp_path, convolution(filters=64) + convolution(filters=64) + CONV)
    session = Session(cfg.with_suffix(".weights"))
    lean, whole = translate_file(cfg, session), translate_file(cfg, session, inline=True)
    num_bytes = sum(array.nbytes for array in lean.tensors.values())
    assert len(whole.graph) > num_bytes > 4 * 64 * 64 * 9
    assert len(lean.graph) < len(whole.graph) - 0.9 * num_bytes
    assert not whole.tensors
    graph = onnx.load_from_string(whole.graph).graph
    for tensor in graph.initializer:
        if tensor.name in lean.tensors:
            np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), lean.tensors[tensor.name])


def test_the_weights_may_be_freed_once_the_session_is_open(tmp_path: Path) -> None:
    cfg = write_network(tmp_path, convolution(filters=256) + convolution(filters=256) + CONV)
    backend = open_backend(cfg)
    batch = np.random.default_rng(0).random((1, 3, *backend.input_size), dtype=np.float32)
    expected = open_backend(cfg, runtime="torch").infer(batch)
    gc.collect()
    scratch = [np.full((256, 256, 3, 3), np.nan, np.float32) for _ in range(8)]  # takes freed memory
    assert relative_error(backend.infer(batch), expected) < 1e-5
    assert len(scratch) == 8


def test_names_and_size_are_those_of_the_model(tmp_path: Path) -> None:
    cfg = write_network(tmp_path)
    assert open_backend(cfg).names == ("class 0", "class 1")
    assert open_backend(cfg, names=["cat", "dog"]).names == ("cat", "dog")
    model = load(cfg, cfg.with_suffix(".weights"), names=["left", "right"])
    save(model, tmp_path / "net.safetensors")
    backend = open_backend(tmp_path / "net.safetensors", runtime="onnxruntime")
    assert (backend.names, backend.input_size) == (("left", "right"), (32, 64))
    assert open_backend(tmp_path / "net.safetensors").name == "torch"


@pytest.mark.parametrize("change", [-40, 40])
def test_weights_of_another_length(tmp_path: Path, change: int) -> None:
    weights = write_network(tmp_path).with_suffix(".weights")
    data = weights.read_bytes()
    weights.write_bytes(data[:change] if change < 0 else data + bytes(change))
    with pytest.raises(WeightsError, match=r"net\.weights"):
        open_backend(tmp_path / "net.cfg")


def test_neither_a_cfg_nor_a_checkpoint_needs_pytorch(tmp_path: Path) -> None:
    cfg = write_network(tmp_path, CONV)
    save(load(cfg, cfg.with_suffix(".weights")), tmp_path / "net.safetensors")
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, seyolo\n"
        "photo = np.zeros((48, 64, 3), np.uint8)\n"
        "for path in sys.argv[1:]:\n"
        "    detector = seyolo.Detector(path, confidence=0.0)\n"
        "    print(detector.backend.name, len(detector.detect(photo)))\n"
    )
    line = [sys.executable, "-c", script, cfg, tmp_path / "net.safetensors"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert first.startswith("onnxruntime ")
    assert not first.endswith(" 0")


@pytest.mark.skipif(not HARD, reason=f"needs the shared cases ({CASES} is absent)")
@pytest.mark.parametrize("cfg", HARD, ids=lambda path: path.stem)
def test_cases_that_opencv_misreads_or_refuses(cfg: Path, tmp_path: Path) -> None:
    weights = cfg.with_suffix(".weights")
    if not weights.is_file():
        weights, network = tmp_path / "drawn.weights", read_cfg(cfg)
        generator = np.random.default_rng(0)
        state = {name: generator.uniform(0.05, 0.3, shape) for name, shape in tensor_shapes(network).items()}
        write_weights(weights, network, state)
    usual, torch = open_backend(cfg, weights), open_backend(cfg, weights, runtime="torch")
    assert usual.name == "onnxruntime"
    batch = np.random.default_rng(1).random((1, 3, *usual.input_size), dtype=np.float32)
    assert relative_error(usual.infer(batch), torch.infer(batch)) < 1e-5
