"""Model files of other programs that no runtime here reads, and the way on."""

from __future__ import annotations

from pathlib import Path

from seyolo.runs import BEST_FILE, SLIM_CHECKPOINT, SLIM_ONNX

PICKLED = (".pt", ".pth", ".ckpt", ".torchscript")
"""Files of PyTorch, which run Python code when they are opened."""
OTHERS = {
    ".engine": "is made for one GPU by TensorRT",
    ".trt": "is made for one GPU by TensorRT",
    ".plan": "is made for one GPU by TensorRT",
    ".mlmodel": "is a file of CoreML",
    ".mlpackage": "is a file of CoreML",
    ".pb": "is a file of TensorFlow",
    ".h5": "is a file of Keras",
    ".keras": "is a file of Keras",
    ".caffemodel": "is a file of Caffe",
    ".pdmodel": "is a file of Paddle",
    ".hef": "is made for a chip of Hailo",
    ".rknn": "is made for a chip of Rockchip",
}
BESIDE = {".bin": (".param", ".xml")}
"""Files that hold the weights of another one, with its endings."""
REPORTS = (".html", "results.json", "curves.json")
OF_A_RUN = (SLIM_ONNX, SLIM_CHECKPOINT, BEST_FILE)
"""Models in the folder of a run of `slim` or `train`."""
TO_ONNX = (
    "give the .onnx of that model, which seyolo reads (Ultralytics: yolo export model=best.pt format=onnx)"
)


def onnx_command(path: Path) -> str:
    """Returns the command with which Ultralytics writes a model as ONNX."""
    source = path if path.suffix == ".pt" else path.with_suffix(".pt")
    return f"yolo export model={source} format=onnx"


def finished_advice(model: str | Path) -> str | None:
    """Returns why a file that a runtime runs is no network to work on; None for another one."""
    if Path(model).suffix.lower() not in (".onnx", ".xml", ".param", ".mnn", ".tflite"):
        return None
    return (
        f"{model}: is a finished file, which cannot be trained, pruned or exported; "
        "give the .safetensors or .cfg that it was made from"
    )


def foreign_advice(model: str | Path) -> str | None:
    """Returns what a model file of another program is, and what to do; None for one of ours or unknown."""
    path = Path(model)
    ending = path.suffix.lower()
    if ending in BESIDE or path.name.endswith(REPORTS):
        near = [path.with_suffix(other) for other in BESIDE.get(ending, ())]
        near = near or [path.with_name(name) for name in OF_A_RUN]
        found = next((file for file in near if file.is_file()), None)
        way = f"give {found}" if found else f"give the model itself, such as {near[0].name}"
        return f"{path}: is no model by itself; {way}"
    if ending in PICKLED:
        way = f"write it as .onnx, which seyolo reads (Ultralytics: {onnx_command(path)})"
        return f"{path}: holds Python code of PyTorch, which seyolo does not run; {way}"
    if ending in OTHERS:
        return f"{path}: {OTHERS[ending]}; {TO_ONNX}"
    if ending in (".yaml", ".yml"):
        return (
            f"{path}: is no network of seyolo; give a Darknet .cfg or a name of the zoo, such as yolov3@0.25"
        )
    return None
