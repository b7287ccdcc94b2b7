"""OpenVINO over a graph made here, so no exporter of ours is involved; and what is said without OpenVINO."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from helpers.onnx_models import write_model as write_onnx
from seyolo.errors import BackendError
from seyolo.installing import pip_install
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Session

NUM_CLASSES = 2


def write_model(path: Path, *, batch: int = 1, columns: int = 5 + NUM_CLASSES, **metadata: str) -> Path:
    """A graph that gives the mean of each colour plane as a row: raw[n, p, c] = mean[n, p] * (c + 1)."""
    ov = pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    ops = ov.opset13
    images = ops.parameter([batch, 3, 32, 64], np.float32, name="images")
    means = ops.unsqueeze(ops.reduce_mean(images, np.array([2, 3]), keep_dims=False), np.array([2]))
    raw = ops.multiply(means, np.arange(1, columns + 1, dtype=np.float32)[None, None])
    model = ov.Model([raw], [images], "means")
    for key, value in metadata.items():
        model.set_rt_info(value, ["seyolo", key])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def batch_of(num: int) -> np.ndarray:
    return np.random.default_rng(0).random((num, 3, 32, 64), dtype=np.float32)


@pytest.mark.parametrize("batch", [1, -1])
@pytest.mark.parametrize("num", [1, 3])
def test_output(tmp_path: Path, batch: int, num: int) -> None:
    """A fixed batch of 1 takes several images too, one after the other."""
    backend = open_backend(write_model(tmp_path / "m.xml", batch=batch), threads=1)
    raw = backend.infer(batch_of(num))
    expected = batch_of(num).mean(axis=(2, 3))[:, :, None] * np.arange(1, 6 + NUM_CLASSES)
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, expected, rtol=1e-5)
    again = raw.copy()
    backend.infer(1 - batch_of(num))
    np.testing.assert_array_equal(raw, again)


def test_a_batch_that_the_graph_does_not_take_is_told(tmp_path: Path) -> None:
    backend = open_backend(write_model(tmp_path / "m.xml", batch=2), threads=1)
    assert len(backend.infer(batch_of(2))) == 2
    with pytest.raises(BackendError, match=r"m\.xml: OpenVINO stopped: "):
        backend.infer(batch_of(3))


SEVERAL_THEN_CTRL_C = """
import signal, sys
from seyolo.runtime.choice import open_backend
first, second = open_backend(sys.argv[1], threads=1), open_backend(sys.argv[1], threads=1)
del first, second
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("caught")
"""


def test_ctrl_c_after_several_models_is_an_interrupt(tmp_path: Path) -> None:
    """OpenVINO would leave signal handlers a stack that is gone."""
    path = write_model(tmp_path / "m.xml")
    line = [sys.executable, "-c", SEVERAL_THEN_CTRL_C, str(path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "caught\n"), done.stderr


def test_metadata_and_what_stands_in_for_it(tmp_path: Path) -> None:
    told = open_backend(
        write_model(tmp_path / "a.xml", names='["hand", "foot"]', input_size="[32, 64]", letterbox="stretch")
    )
    assert (told.names, told.letterbox_mode, told.input_size) == (("hand", "foot"), "stretch", (32, 64))
    silent = open_backend(write_model(tmp_path / "b.xml"))
    assert (silent.names, silent.letterbox_mode) == (("class 0", "class 1"), "letterbox")
    assert silent.input_size == (32, 64)
    assert open_backend(tmp_path / "b.xml", names=["left", "right"]).names == ("left", "right")


def test_precision_is_float32_unless_asked(tmp_path: Path) -> None:
    """One third rounds to 0.333984375 in bfloat16."""
    path = write_model(tmp_path / "m.xml")
    backend = pytest.importorskip("seyolo.runtime.openvino_backend").OpenVinoBackend
    thirds = np.full((1, 3, 32, 64), 1 / 3, np.float32)
    np.testing.assert_allclose(backend(path).infer(thirds)[0, 0, 0], 1 / 3, rtol=1e-6)
    assert backend(path, Session(precision="bf16")).infer(thirds).shape == (1, 3, 5 + NUM_CLASSES)


def test_a_precision_that_the_cpu_does_not_have_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.xml")
    openvino = pytest.importorskip("openvino")
    if "FP16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has 16-bit floats")
    with pytest.raises(BackendError, match="OpenVINO has no f16 on this CPU and would take"):
        open_backend(path, precision="f16")


def test_onnx_files_with_their_metadata(tmp_path: Path) -> None:
    write_model(tmp_path / "m.xml")
    path = write_onnx(
        tmp_path / "m.onnx",
        metadata={"names": '["hand", "foot"]', "letterbox": "stretch"},
        image=["n", 3, 32, 64],
    )
    backend = open_backend(path, runtime="openvino")
    assert (backend.name, backend.names, backend.input_size) == ("openvino", ("hand", "foot"), (32, 64))
    assert backend.letterbox_mode == "stretch"
    np.testing.assert_allclose(backend.infer(batch_of(2)), open_backend(path).infer(batch_of(2)), rtol=1e-5)


def test_files_of_something_else(tmp_path: Path) -> None:
    write_model(tmp_path / "narrow.xml", columns=5)
    with pytest.raises(BackendError, match=r"narrow\.xml: the output has 5 columns, expected 5"):
        open_backend(tmp_path / "narrow.xml")
    with pytest.raises(BackendError, match=r"expected images of shape \(3, 32, 64\), got \(3, 64, 64\)"):
        open_backend(write_model(tmp_path / "m.xml")).infer(np.zeros((1, 3, 64, 64), np.float32))
    (tmp_path / "m.bin").unlink()
    (tmp_path / "bad.xml").write_text("<net/>")
    for name in ("m.xml", "bad.xml"):
        with pytest.raises(BackendError, match=f"{name}: OpenVINO cannot read this file"):
            open_backend(tmp_path / name)


def test_another_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="run on cpu here, not on 'cuda'"):
        open_backend(write_model(tmp_path / "m.xml"), device="cuda")


def test_without_openvino_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.xml").touch()
    monkeypatch.delitem(sys.modules, "seyolo.runtime.openvino_backend", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=re.escape(pip_install("seyolo[openvino]"))):
        open_backend(tmp_path / "m.xml")


@pytest.mark.parametrize("parallel", [1, 3])
def test_several_threads_share_a_backend(parallel: int) -> None:
    pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    backend = open_backend("hand", runtime="openvino", threads=1, parallel=parallel)
    batches = [np.random.default_rng(seed).random((1, 3, 320, 320), np.float32) for seed in range(6)]
    expected = [backend.infer(batch) for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        for raw, right in zip(pool.map(backend.infer, batches * 4), expected * 4, strict=True):
            np.testing.assert_allclose(raw, right, rtol=0, atol=1e-3)
