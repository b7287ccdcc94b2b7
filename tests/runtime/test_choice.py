"""Choosing a runtime by the file, and what is said when that cannot be done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seyolo.errors import BackendError
from seyolo.installing import pip_install
from seyolo.runtime.choice import check_choice, open_backend
from seyolo.runtime.protocol import class_names


def test_unknown_endings_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(
        BackendError,
        match=r"no runtime reads '\.txt'; give \.onnx, \.cfg, .*, \.mnn or \.tflite$",
    ):
        open_backend(tmp_path / "model.txt")
    with pytest.raises(BackendError, match="a name without ending"):
        open_backend(tmp_path / "model")
    with pytest.raises(BackendError, match=r"model\.onnx: there is no such model file"):
        open_backend(tmp_path / "model.onnx")


def test_a_cfg_needs_its_weights(tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_text("[net]\n")
    with pytest.raises(BackendError, match=r"net\.weights: there is no such weights file for net\.cfg"):
        open_backend(tmp_path / "net.cfg")
    with pytest.raises(BackendError, match=r"other\.weights: there is no such weights file"):
        open_backend(tmp_path / "net.cfg", tmp_path / "other.weights")


PINNED = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[2])})
from seyolo.runtime.choice import open_backend
backend = open_backend(sys.argv[1])
assert {max(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")} == {int(sys.argv[2])}
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_no_thread_leaves_the_cores_that_the_process_is_kept_to() -> None:
    """ONNX Runtime pins its threads to cores of its own choice, and twice as many as there were cores."""
    for cpu in sorted(os.sched_getaffinity(0))[:2]:
        subprocess.run([sys.executable, "-c", PINNED, "hand", str(cpu)], check=True, timeout=60)


def test_threads_are_at_least_one(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    for number, text in (
        (0, "at least 1, got 0"),
        (-3, "at least 1, got -3"),
        (100_000, "at most 1,024, got 100,000"),
    ):
        with pytest.raises(BackendError, match=f"threads must be {text}"):
            open_backend(tmp_path / "m.onnx", threads=number)


def test_a_checkpoint_without_torch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.safetensors").touch()
    for module in [
        name for name in sys.modules if name.startswith(("seyolo.torchnet", "seyolo.runtime.torch"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        BackendError,
        match=re.escape(
            f"{pip_install('seyolo[train]')}, or leave the runtime out: the model runs on ONNX Runtime"
        ),
    ):
        open_backend(tmp_path / "m.safetensors", runtime="torch")


def test_class_names() -> None:
    assert class_names(["a", "b"], 2, "x") == ("a", "b")
    assert len(set(class_names(None, 3, "x"))) == 3
    with pytest.raises(BackendError, match="x: the network has 3 classes, but 2 names are given"):
        class_names(["a", "b"], 3, "x")


@pytest.mark.parametrize(
    ("name", "runtime", "text"),
    [
        (
            "m.onnx",
            "opencv",
            r"m\.onnx: seyolo runs \.onnx files on onnxruntime or openvino; opencv is for \.cfg "
            r"\(OpenCV itself reads the file with cv2\.dnn\.readNetFromONNX\)$",
        ),
        ("m.xml", "torch", r"seyolo runs \.xml files on openvino; torch is for \.safetensors and \.cfg$"),
        ("m.safetensors", "opencv", r"files on onnxruntime or openvino or torch; opencv is for \.cfg$"),
    ],
)
def test_a_runtime_that_does_not_read_the_file(tmp_path: Path, name: str, runtime: str, text: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "m.weights").touch()
    with pytest.raises(BackendError, match=text):
        open_backend(tmp_path / name, runtime=runtime)  # type: ignore[arg-type]


def test_a_precision_that_the_runtime_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    with pytest.raises(BackendError, match="onnxruntime computes in float32, not in bf16"):
        open_backend(tmp_path / "m.onnx", precision="bf16")


def test_choices_that_do_not_exist() -> None:
    check_choice(None, "f16", "x")
    with pytest.raises(
        BackendError, match="x: 'vino' is none of onnxruntime, openvino, ncnn, mnn, litert, opencv or torch"
    ):
        check_choice("vino", "f32", "x")
    with pytest.raises(BackendError, match="x: 'int8' is none of f32, bf16 or f16"):
        check_choice("torch", "int8", "x")
