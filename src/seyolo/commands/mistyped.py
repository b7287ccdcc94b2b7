"""Answers to command lines that seyolo cannot run: what is wrong, and a line that is right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from seyolo.commands.foreign import translation
from seyolo.commands.foreign_line import TRAINING
from seyolo.errors import MissingError

EXAMPLES = {
    "slim": "seyolo slim --data hands/data.yaml --model yolov3-tiny --budget macs=30%",
    "train": "seyolo train --data hands/data.yaml --model yolov3-tiny",
    "val": "seyolo val slim.onnx --data hands/data.yaml",
    "detect": "seyolo detect hand photo.jpg",
    "prune": "seyolo prune dense.safetensors slim.safetensors --budget macs=30%",
    "export": "seyolo export slim.safetensors slim.onnx",
    "benchmark": "seyolo benchmark dense.onnx slim.onnx",
    "report": "seyolo report runs/slim/slim",
    "study": "seyolo study --data hands/data.yaml --model yolov3-tiny --gates none,se,eca",
    "serve": "seyolo serve hand",
    "info": "seyolo info yolov3-tiny",
    "demo": "seyolo demo",
    "data oxford": "seyolo data oxford hand_dataset.tar.gz hands",
    "data synth": "seyolo data synth hands",
    "data convert": "seyolo data convert photos/data.yaml photos_coco --to coco",
    "data split": "seyolo data split photos hands --val 20%",
    "data check": "seyolo data check hands/data.yaml",
    "data view": "seyolo data view photos",
    "data label": "seyolo data label slim.onnx more_photos labelled",
    "data anchors": "seyolo data anchors hands/data.yaml --size 416",
}
"""A line that works, by verb."""
NO_DRY_RUN = (
    "has no --dry-run: it prints network, steps and time before it starts, and Ctrl-C ends it; "
    "seyolo prune MODEL OUT --budget macs=30% --dry-run plans which channels are pruned"
)
TO_EXPORT = "seyolo export MODEL.cfg MODEL.onnx"
OTHER_WORDS = {
    "quantize": "seyolo export MODEL MODEL_int8.onnx --int8 --data DATA",
    "quantise": "seyolo export MODEL MODEL_int8.onnx --int8 --data DATA",
    "mo": "seyolo export MODEL MODEL.xml",
    "darknet2onnx": TO_EXPORT, "import": TO_EXPORT, "readnetfromdarknet": TO_EXPORT, "readnet": TO_EXPORT,
    "readnetfromonnx": "seyolo detect MODEL.onnx IMAGES",
    "dnn_detectionmodel": "seyolo detect MODEL.cfg IMAGES",
    "object_detection": "seyolo detect MODEL IMAGES",
    "compare": "seyolo report RUN RUN",
    "darknet": "seyolo detect MODEL.cfg IMAGES",
    "yolo": "seyolo detect MODEL IMAGES",
    "label": "seyolo data label MODEL IMAGES OUT", "view": "seyolo data view DATA",
}  # fmt: skip
"""A line for words of other programs that stand where a verb would."""
NO_PARTIAL = (
    "training on trained weights takes the layers that fit: seyolo train --model MODEL.cfg --weights FILE"
)


def answer(error: BaseException, words: Sequence[str], app: App) -> str:
    """Returns the text of an error: the line in seyolo's words, if it was in others; else what is wrong."""
    if (translated := translation(words, app)) is not None:
        return translated
    example = EXAMPLES.get(" ".join(words[:2]), EXAMPLES.get(words[0]) if words else None)
    with_example = "" if example is None else f"; for example: {example}"
    if isinstance(error, MissingError):
        return f"{error}{with_example}"
    if isinstance(error, CycloptsError):
        return _mistyped(error, words, app, with_example)
    return str(error)


def _mistyped(error: CycloptsError, words: Sequence[str], app: App, with_example: str) -> str:
    """Words an error of cyclopts."""
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{_missing(error)}{with_example}"
    if isinstance(error, UnknownCommandError):
        return _unknown_verb(words, app["data"] if words[0] == "data" else app)
    if isinstance(error, UnusedCliTokensError):
        return f"{' '.join(error.unused_tokens or ())}: more words than the verb takes{with_example}"
    is_dry = isinstance(error, UnknownOptionError) and "--dry-run" in str(error).replace("_", "-")
    if is_dry and words[0] in TRAINING:
        return f"{words[0]} {NO_DRY_RUN}"
    text = str(error)
    if isinstance(error, CoercionError) and (comma := re.search(r'"(\d*),(\d+)" into (float|int)', text)):
        text = f"{text.rstrip('.')}; write {comma[1]}.{comma[2]}"
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _missing(error: MissingArgumentError) -> str:
    """Words an argument that is missing, or an option without its value."""
    argument = error.argument
    assert argument is not None, "the caller has looked"
    typed = error.keyword or next((token.keyword for token in argument.tokens if token.keyword), None)
    if typed is not None:
        return f"{typed} needs a value"
    is_positional = argument.field_info.is_positional
    return f"{argument.name.lstrip('-').upper() if is_positional else argument.name} is missing"


def _unknown_verb(words: Sequence[str], app: App) -> str:
    known = [name for name in app if not name.startswith("-")]
    word = words[1] if words[0] == "data" else words[0]
    if word == "partial":
        return f"there is no verb partial; {NO_PARTIAL}"
    if (line := OTHER_WORDS.get(word.lower().removesuffix(".py").rpartition(".")[2])) is not None:
        return f"there is no verb {word}; in seyolo: {line}"
    near = difflib.get_close_matches(word, known, 1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"there is no verb {word}; {advice}"
