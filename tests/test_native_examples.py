"""The programs in C and C++ compile, and print the boxes of `seyolo.Detector`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

import seyolo
from seyolo.runtime.shipped import model_path

SOURCES = Path(__file__).parents[1] / "examples/native"
WARNINGS = ["-O1", "-Wall", "-Wextra", "-Werror"]
Run = Callable[[Path, float], str]

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a compiler (apt install g++)")

# No registry that tests reach has ONNX Runtime's headers, but its wheel has the library. This declares what
# the program calls, at its place in the table of functions, which only ever grows at its end.
C_API = """
#pragma once
#include <stddef.h>
#include <stdint.h>
#define ORT_API_VERSION 22
#ifdef __cplusplus
extern "C" {
#endif
typedef struct OrtStatus OrtStatus; typedef struct OrtEnv OrtEnv; typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions; typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo; typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef enum { ORT_LOGGING_LEVEL_ERROR = 3 } OrtLoggingLevel;
typedef enum { OrtArenaAllocator = 1 } OrtAllocatorType;
typedef enum { OrtMemTypeDefault = 0 } OrtMemType;
typedef enum { ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1 } ONNXTensorElementDataType;
typedef struct {
  void *f0[2];
  const char *(*GetErrorMessage)(const OrtStatus *); /* 2 */
  OrtStatus *(*CreateEnv)(OrtLoggingLevel, const char *, OrtEnv **); /* 3 */
  void *f4[3];
  OrtStatus *(*CreateSession)(const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession **); /* 7 */
  void *f8[1];
  OrtStatus *(*Run)(OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t,
                    const char *const *, size_t, OrtValue **); /* 9 */
  OrtStatus *(*CreateSessionOptions)(OrtSessionOptions **); /* 10 */
  void *f11[38];
  OrtStatus *(*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t,
                                               ONNXTensorElementDataType, OrtValue **); /* 49 */
  void *f50[1];
  OrtStatus *(*GetTensorMutableData)(OrtValue *, void **); /* 51 */
  void *f52[10];
  OrtStatus *(*GetDimensions)(const OrtTensorTypeAndShapeInfo *, int64_t *, size_t); /* 62 */
  void *f63[2];
  OrtStatus *(*GetTensorTypeAndShape)(const OrtValue *, OrtTensorTypeAndShapeInfo **); /* 65 */
  void *f66[3];
  OrtStatus *(*CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo **); /* 69 */
  void *f70[22];
  void (*ReleaseEnv)(OrtEnv *); /* 92 */
  void (*ReleaseStatus)(OrtStatus *);
  void (*ReleaseMemoryInfo)(OrtMemoryInfo *);
  void (*ReleaseSession)(OrtSession *);
  void (*ReleaseValue)(OrtValue *); /* 96 */
  void *f97[2];
  void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *); /* 99 */
  void (*ReleaseSessionOptions)(OrtSessionOptions *);
} OrtApi;
typedef struct { const OrtApi *(*GetApi)(uint32_t); } OrtApiBase;
const OrtApiBase *OrtGetApiBase(void);
#ifdef __cplusplus
}
#endif
"""


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs the package {package}")
    return Path(spec.origin).parent


def compiled(folder: Path, compiler: str, source: str, flags: list[str], rest: list[str]) -> str:
    program = str(folder / "detect")
    line = [compiler, *WARNINGS, *flags, str(SOURCES / source), *rest, "-lm", "-o", program]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return program


def printed(*line: object) -> str:
    done = subprocess.run([*map(str, line)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["C", "C++"])
def on_onnxruntime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With the headers in $ONNXRUNTIME_INCLUDE, or those above, and the library of the wheel."""
    folder = tmp_path_factory.mktemp("onnxruntime")
    include = os.environ.get("ONNXRUNTIME_INCLUDE")
    if include is None:
        (folder / "onnxruntime_c_api.h").write_text(C_API)
    libraries = sorted((folder_of("onnxruntime") / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("this onnxruntime has no library of its own")
    (folder / "libonnxruntime.so.1").symlink_to(libraries[0])  # its own name for programs
    compiler = ("gcc", "-std=c99") if request.param == "C" else ("g++", "-xc++")
    # `-x none` ends the language of the sources before the library.
    rest = ["-xnone", str(folder / "libonnxruntime.so.1"), f"-Wl,-rpath,{folder}"]
    program = compiled(folder, compiler[0], "onnxruntime.c", [f"-I{include or folder}", compiler[1]], rest)
    return lambda image, confidence: printed(program, model_path("hand"), image, 320, 320, confidence)


@pytest.fixture(scope="module")
def on_openvino(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = folder_of("openvino")
    libraries = sorted((root / "libs").glob("libopenvino.so*"))
    if not libraries or not (root / "include").is_dir():
        pytest.skip("this openvino brings no headers")
    rest = [str(libraries[0]), f"-Wl,-rpath,{root / 'libs'}"]
    folder = tmp_path_factory.mktemp("openvino")
    program = compiled(folder, "g++", "openvino.cpp", [f"-isystem{root / 'include'}", "-std=c++17"], rest)
    return lambda image, confidence: printed(program, model_path("hand"), image, confidence)


def require_same_boxes(run: Run, drawn: np.ndarray, size: tuple[int, int], folder: Path) -> None:
    """Within 0.2 px of the input where the image is resized, otherwise as printed."""
    path = folder / "hand.ppm"
    cv2.imwrite(str(path), cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_CUBIC))
    expected = seyolo.Detector("hand", confidence=0.2).detect(path)
    rows = np.array([line.split() for line in run(path, 0.2).splitlines()], np.float64)
    assert len(rows) == len(expected) > 0
    np.testing.assert_array_equal(rows[:, 0], expected.class_ids)
    is_exact = size == (320, 320)
    np.testing.assert_allclose(rows[:, 1], expected.scores, atol=1e-3 if is_exact else 5e-3)
    tolerance = 0.06 if is_exact else 0.06 + 0.5 * max(size) / 320
    np.testing.assert_allclose(rows[:, 2:], expected.boxes, atol=tolerance)


SIZES = [(320, 320), (480, 640), (201, 307), (1500, 1300)]


@pytest.mark.parametrize("size", SIZES)
def test_onnx_runtime(
    on_onnxruntime: Run, drawn_hand: np.ndarray, size: tuple[int, int], tmp_path: Path
) -> None:
    require_same_boxes(on_onnxruntime, drawn_hand, size, tmp_path)


@pytest.mark.parametrize("size", SIZES)
def test_openvino(on_openvino: Run, drawn_hand: np.ndarray, size: tuple[int, int], tmp_path: Path) -> None:
    require_same_boxes(on_openvino, drawn_hand, size, tmp_path)


def test_ncnn(drawn_hand: np.ndarray, tmp_path: Path) -> None:
    """With ncnn for C++ in $NCNN_ROOT, which no Python package has, and a float32 `hand` for 320x320 px."""
    root, model = os.environ.get("NCNN_ROOT"), os.environ.get("NCNN_HAND")
    if root is None or model is None:
        pytest.skip("needs ncnn for C++ and hand.ncnn.param: NCNN_ROOT=/usr NCNN_HAND=hand.ncnn")
    rest = [f"{root}/lib/libncnn.a", "-fopenmp"]
    program = compiled(tmp_path, "g++", "ncnn.cpp", [f"-isystem{root}/include/ncnn", "-std=c++17"], rest)
    run = partial(printed, program, model)
    require_same_boxes(lambda image, least: run(image, 320, 320, least), drawn_hand, (320, 320), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P6 4 4 255\n123",
        b"P5 4 4 255\n" + bytes(48),
        b"P6 99999 99999 255\n",
        b"P6 0 4 255\n",
        b"P6 1 1 65535\n123456",
    ],
)
def test_a_damaged_image_is_refused(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "read.c"
    source.write_text(
        '#include "detector.h"\nint main(int n, char **a) { (void)n; free(read_ppm(a[1]).rgb); }\n'
    )
    line = ["gcc", "-O1", "-w", f"-I{SOURCES}", str(source), "-lm", "-o", str(tmp_path / "read")]
    subprocess.run(line, check=True, timeout=120)
    path = tmp_path / "x.ppm"
    path.write_bytes(content)
    done = subprocess.run([tmp_path / "read", path], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert str(path) in done.stderr
