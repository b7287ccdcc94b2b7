"""A command line in words of Ultralytics, YOLOv5, Darknet or OpenCV, read as those programs read it.

They take `key=value`, `--key value` and `-key value`, and know files by their endings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cyclopts import App

from seyolo.foreign_words import OPTIONS, SAME
from seyolo.runtime.choice import EXPORT_NAMES, RUNTIMES

MODES = {
    "predict": "detect", "track": "detect", "infer": "detect", "inference": "detect", "fit": "train",
    "finetune": "train", "test": "val", "valid": "val", "validate": "val", "eval": "val", "evaluate": "val",
    "map": "val", "recall": "val", "convert": "export", "calc_anchors": "data anchors",
    "kmeans": "data anchors", "train": "train", "val": "val", "export": "export", "benchmark": "benchmark",
    "check": "data check", "split": "data split", "synth": "data synth", "oxford": "data oxford",
    "anchors": "data anchors",
}  # fmt: skip
"""The verb of seyolo by the words of others."""
DARKNET = {"test": "detect", "demo": "detect"}
"""The verb by the word behind `darknet detector`, where it is another one."""
SAVED = {"save-txt": "yolo", "save-labels": "yolo", "save-crop": "crops"}
OTHERS = frozenset(
    "agnostic-nms amp augment auto-augment box cache classes close-mosaic cls compile copy-paste cos-lr "
    "data degrees deterministic dfl dnn dont-show dropout embed end2end epochs erasing exist-ok "
    "ext-output fliplr flipud fraction freeze height hsv-h hsv-s hsv-v hyp int8 keras label-smoothing "
    "letter-box line-width lrf mask-ratio max-det mixup mode momentum mosaic multi-scale name nbs nms "
    "noautoanchor noplots nosave noval opset optimize optimizer out-filename overlap-mask patience "
    "perspective plots points pose pretrained profile project quad rect resume retina-masks save-conf "
    "save-dir save-frames save-json save-period scale seed shear show show-boxes show-conf show-labels "
    "simplify single-cls split stream stream-buffer task time tracker translate verbose vid-stride "
    "view-img visualize warmup-epochs weight-decay weights width workers workspace".split()
)
"""Other settings of Ultralytics and Darknet."""
FLAGS = frozenset(
    "agnostic-nms augment clear cos-lr dnn dont-show dynamic exist-ok ext-output fp16 half int8 map "
    "multi-scale nms noautoanchor noplots nosave noval quad rect resume rgb save-conf save-crop save-json "
    "save-labels save-txt show simplify single-cls verbose view-img visualize".split()
)
"""Those without a value, where they begin with a dash."""
FORMATS: dict[str, str] = {
    name: ending
    for name, kind in RUNTIMES.items()
    for ending in EXPORT_NAMES
    if Path(f"x{ending}").suffix in kind.endings
} | {"onnx": ".onnx", "tflite": ".tflite", "darknet": ".cfg"}
"""Ending of the file by the format, which may have the name of its runtime."""
SHARE = re.compile(r"[01]?\.\d+")
WEIGHTS = re.compile(r".*\.(weights|conv\.\d+)")
TRAINING, DATA_ENDINGS = ("train", "slim"), (".yaml", ".yml", ".data")
WRITING = ("export", "prune")
MODEL_AND_FILES = ("detect", "val", "export", "benchmark", "info", "serve", "prune")


@dataclass
class Line:
    """A command line, read as other programs read it."""

    verb: str  # of seyolo
    spoken: list[str] = field(default_factory=list)  # words that are not seyolo's
    settings: dict[str, list[str]] = field(default_factory=dict)  # by the names of seyolo, else as typed
    typed: dict[str, str] = field(default_factory=dict)  # their names as typed
    files: list[str] = field(default_factory=list)  # positional
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def take(self, name: str) -> str | None:
        """Returns the last value of a setting, and removes it."""
        values = self.settings.pop(name, [])
        return values[-1] if values else None


def line_of(words: list[str], app: App) -> tuple[Line | None, list[str]]:
    """Returns the line with its verb, and the words behind that."""
    first, second = [*(word.removesuffix(".py") for word in words[:2]), "", ""][:2]
    if first in app and second == "detector":  # seyolo train detector train x.data
        return line_of(words[1:], app)
    if first == "data":
        return (Line(f"data {second}") if second in app["data"] else None), words[2:]
    if second in MODES | DARKNET and (
        first == "detector" or (first == "detect" and not Path(second).exists())
    ):
        verbs = MODES | DARKNET if first == "detector" else MODES
        return Line(verbs[second], [f"{first} {second}"]), words[2:]
    if first in app and not first.startswith("-"):
        return Line(first, [words[0]] if words[0] != first else []), words[1:]
    if first in MODES:
        return Line(MODES[first], [words[0]]), words[1:]
    modes = [word.removeprefix("mode=") for word in words if word.startswith("mode=")]
    return (Line(MODES[modes[0]], ["mode="]) if modes and modes[0] in MODES else None), words


def stray_value(name: str, values: list[str], own: Mapping[str, int]) -> str:
    """Returns the number behind one of the verb's own switches, which have no value; empty without one."""
    return values[-1] if own.get(name) == 0 and values and SHARE.fullmatch(values[-1]) else ""


def read_words(line: Line, words: list[str], own: Mapping[str, int]) -> None:
    """Reads settings and files; notes the words that are not seyolo's."""
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            line.files += words
            break
        typed, equals, value = word.partition("=")
        name = typed.lstrip("-").replace("_", "-").lower()
        is_dashed = typed.startswith("-") and len(typed) > 1 and not typed[1:2].isdigit()
        is_known = name in own or name in OPTIONS or name in SAME or name in OTHERS
        if is_dashed or (equals and is_known and not Path(word).exists()):
            values = [value] if equals else _values(name, words, own)
            if stray := stray_value(name, values, own):
                line.spoken.append(f"{typed} {stray}")
            if name not in own or not is_dashed:
                line.spoken += [typed if is_dashed else f"{typed}="] if is_known or line.spoken else []
            _set(line, name, values, typed.lstrip("-"), is_own=name in own)
        elif name in FLAGS and not Path(word).exists() and (line.spoken or "=" in "".join(words)):
            _set(line, name, [], typed, is_own=False)
        elif line.verb == "export" and name in FORMATS and not Path(word).exists():
            line.spoken.append(f"{word} for a file")
            line.settings.setdefault("format", []).append(name)
        else:
            line.files.append(word)
    line.spoken += [] if line.spoken else _misplaced(line)


def _misplaced(line: Line) -> list[str]:
    """Returns files that lack their option, and weights that stand for the model."""
    lacking = []
    for file in line.files:
        if line.verb in WRITING and WEIGHTS.fullmatch(file) and "weights" in line.settings:
            lacking.append(f"{file} for OUT")
        elif line.verb in MODEL_AND_FILES and WEIGHTS.fullmatch(file) and len(line.files) > 1:
            lacking.append(f"{file} without --weights")
        elif line.verb in TRAINING or (
            line.verb in ("val", "benchmark") and file.endswith(DATA_ENDINGS) and len(line.files) > 1
        ):
            lacking.append(f"{file} without an option")
    if line.verb in MODEL_AND_FILES and "weights" in line.settings and "model" not in line.settings:
        lacking += [] if line.files else ["--weights without MODEL"]
    return lacking


def _values(name: str, words: list[str], own: Mapping[str, int]) -> list[str]:
    """Takes the values of an option from the words behind it."""
    count = own.get(name, 0 if name in FLAGS else 1)
    if name in FLAGS and words and SHARE.fullmatch(words[0]):  # --nms 0.45 of OpenCV
        count = 1
    values: list[str] = []
    while words and not re.match(r"-+[A-Za-z]", words[0]):
        is_one_of_several = bool(values) and (words[0].isdigit() or words[0] in FORMATS) and name not in own
        if 0 <= count <= len(values) and not is_one_of_several:
            break
        values.append(words.pop(0))
    return values


def _set(line: Line, name: str, values: list[str], typed: str, *, is_own: bool) -> None:
    if name in SAVED:
        is_wanted = (values or ["true"])[-1].lower() == "true"
        values, name = [SAVED[name]] if is_wanted else [], "save"
    elif not is_own and name == "nms" and values and SHARE.fullmatch(values[-1]):
        name = "iou"
    elif not is_own and name == "classes" and values and Path(values[-1]).suffix in (".names", ".txt"):
        name = "names"
    elif not is_own:
        name = OPTIONS.get(name, name)
    line.typed[name] = typed
    line.settings.setdefault(name, []).extend(values)
