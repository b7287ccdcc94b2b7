"""Words of Ultralytics, YOLOv5, Darknet and OpenCV for options of seyolo, and keyword arguments in them."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from seyolo.errors import KeywordError

SAME = {
    "size": "imgsz img img-size image-size input-size",
    "confidence": "conf conf-thres conf-thresh conf-threshold confthreshold thr thresh threshold "
    "score-threshold",
    "iou": "iou-thres iou-thresh iou-threshold nms-thresh nms-threshold nmsthreshold",
    "batch": "batch-size bs",
    "lr": "lr0 learning-rate",
    "s": "lambda",
    "budget": "percent global-threshold ratio pruning-ratio prune-ratio sparsity",
    "device": "gpu gpus gpu-id i",
    "source": "input image images video c",
    "model": "cfg config network net arch",
    "num-classes": "nc",
    "names": "labels",
    "runtime": "backend",
    "for": "target",
    "dynamic-batch": "dynamic",
    "half": "fp16",
    "out": "save-dir output output-dir outdir",
    "format": "include",
    "num": "num-of-clusters",
    "save": "save-txt save-labels save-crop",
}
OPTIONS = {other: ours for ours, others in SAME.items() for other in others.split()}
"""The option of seyolo by the names of others."""
IN_PYTHON = {
    "confidence": ("confidence",), "iou": ("iou_threshold",), "batch": ("batch", "batch_size"),
    "model": ("model", "path"), "source": ("image", "images"), "name": ("folder",), "project": ("folder",),
    "workers": ("loader_workers",),
}  # fmt: skip
"""Keyword arguments for an option, where they are called otherwise than on the command line."""
OF_DETECTOR = {"confidence": "confidence", "iou": "iou_threshold", "device": "device"}
INSTEAD = {
    "size": "a model file has its own input size: export it with another",
    "classes": 'keep the classes you want: found.filter(classes="hand")',
    "save": 'save what was found: found.save("found.jpg")',
}
"""Advice on a word that `Detector` and its methods have no keyword argument for."""

MOST_NAMED = 32
OWN = {name: ["folder", "progress", "tracker"] for name in ("train", "slim", "study")}
OWN["study"] += ["shard", "gates", "places", "joins", "budgets", "seeds"]
"""Keyword arguments of functions that are made from options, besides the options."""
REPLACING = ("export", "export_file", "plan_file", "prune_file", "save")


def unexpected_keyword(caller: str, name: str, known: Collection[str]) -> KeywordError:
    """Returns the error for a keyword argument that a function does not have: the right one, if there is any.

    `caller` is the function's name, such as `train` or `Detector.detect`; `known` are its keyword arguments.
    """
    known = {*known, *OWN.get(caller, [])}
    typed = name.replace("_", "-").lower()
    option = OPTIONS.get(typed, typed)
    for ours in IN_PYTHON.get(option, (option.replace("-", "_"),)):
        if ours in known:
            return KeywordError(f"{caller}: {name}= is {ours}= in seyolo")
    text = f"{caller}: got an unexpected keyword argument {name!r}"
    if caller.startswith("Detector"):
        if (ours := OF_DETECTOR.get(option, "")) and caller != "Detector":
            return KeywordError(
                f"{caller}: {name}= is {ours}= of Detector: seyolo.Detector(MODEL, {ours}=...)"
            )
        if option in INSTEAD:
            return KeywordError(f"{text}; {INSTEAD[option]}")
    if caller == "prune" and name in ("data", "dataset"):
        way = 'seyolo.api.prune_file(MODEL, "slim.safetensors", budget=..., data=...)'
        return KeywordError(f"{caller}: takes no {name}=; to prune and repair on images: {way}")
    return KeywordError(f"{text}; {_advice(caller, name, known)}")


def _advice(caller: str, name: str, known: Collection[str]) -> str:
    """Returns what to do, else the keyword arguments of a function, or where they are listed if many."""
    if name == "resume" and caller in OWN:
        return f"to go on with a run: seyolo.api.resume_{caller}(FOLDER)"
    if name == "overwrite" and caller in REPLACING:
        return "from Python, files that are there already are replaced: leave it out"
    if near := difflib.get_close_matches(name, sorted(known), 1):
        return f"did you mean {near[0]}=?"
    if len(known) > MOST_NAMED:
        return f"help() of {caller} tells where its keyword arguments are listed"
    return f"it takes {', '.join(sorted(known))}"
