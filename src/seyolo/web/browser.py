"""Files for a page that runs the models in the browser: onnxruntime-web and the models themselves."""

from __future__ import annotations

from pathlib import Path

from seyolo.errors import UsageError
from seyolo.options.detect import ServeOptions
from seyolo.runtime.shipped import model_path

PACKAGE = "onnxruntime-web@1.30.0"  # the version that the tests run
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def runtime_folder(given: Path) -> Path:
    """Returns the folder with onnxruntime-web's files: the one given, or `dist` in it.

    Raises:
        UsageError: a file is missing; the message says how to get the package.
    """
    folder = given / "dist" if (given / "dist").is_dir() else given
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"--browser {given}: holds no {missing[0]}; get it with: npm install {PACKAGE}, and give "
            "node_modules/onnxruntime-web"
        )
    return folder


def browser_file(model: str, options: ServeOptions) -> Path:
    """Returns the ONNX file that browsers download.

    Raises:
        UsageError: another file, or tiles, which the page does not cut.
    """
    path = model_path(model)
    if path.suffix.lower() != ".onnx":
        raise UsageError(
            f"{model}: a browser runs .onnx files only; export it: seyolo export {model} {path.stem}.onnx"
        )
    if options.tile:
        raise UsageError("--tile: tiles are cut on the server only; leave --tile or --browser out")
    return path
