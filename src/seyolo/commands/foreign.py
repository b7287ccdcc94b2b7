"""Command lines of Ultralytics, YOLOv5 and Darknet in seyolo's words.

`translation` is asked after an error only, so a line that seyolo understands never comes here. It reads the
line as those programs do (`key=value`, `--key value`, `-key value`, files by their endings) and writes it
with the options that the verb has. Nothing is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from cyclopts import App

from seyolo.commands.detect_targets import SAVED_BY_DEFAULT
from seyolo.darknet.zoo import is_zoo_name
from seyolo.foreign_words import OPTIONS, SAME
from seyolo.options.training import OptimizerName
from seyolo.runtime.choice import EXPORT_NAMES, RUNTIMES
from seyolo.runtime.foreign import PICKLED, finished_advice, foreign_advice, onnx_command
from seyolo.runtime.shipped import shipped_advice

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
OTHER_TASKS = ("segment", "classify", "pose", "obb", "classifier")
PROGRAMS = ("yolo", "darknet", "darknet.exe", "python", "python3", "seyolo")

SAVED = {"save-txt": "yolo", "save-labels": "yolo", "save-crop": "crops"}
OTHERS = frozenset(
    "agnostic-nms amp augment auto-augment box cache classes close-mosaic cls compile copy-paste cos-lr "
    "data degrees deterministic dfl dnn dont-show dropout embed end2end epochs erasing exist-ok ext- "
    "output fliplr flipud fraction freeze height hsv-h hsv-s hsv-v hyp int8 keras label-smoothing letter- "
    "box line-width lrf mask-ratio max-det mixup mode momentum mosaic multi-scale name nbs nms "
    "noautoanchor noplots nosave noval opset optimize optimizer out-filename overlap-mask patience "
    "perspective plots points pose pretrained profile project quad rect resume retina-masks save-conf "
    "save-dir save-frames save-json save-period scale seed shear show show-boxes show-conf show-labels "
    "simplify single-cls split stream stream-buffer task time tracker translate verbose vid-stride view- "
    "img visualize warmup-epochs weight-decay weights width workers workspace".split()
)
"""Other settings of Ultralytics and Darknet."""
FLAGS = frozenset(
    "agnostic-nms augment clear cos-lr dnn dont-show dynamic exist-ok ext-output fp16 half int8 map "
    "multi-scale nms noautoanchor noplots nosave noval quad rect resume save-conf save-crop save-json "
    "save-labels save-txt show simplify single-cls verbose view-img visualize".split()
)
"""Those without a value, where they begin with a dash."""
MEANINGLESS = frozenset(
    "task mode verbose val plots nosave save deterministic simplify ext-output dont-show clear exist-ok "
    "pretrained map".split()
)
"""Those that ask for what seyolo does anyway."""
FORMATS: dict[str, str] = {
    name: ending
    for name, kind in RUNTIMES.items()
    for ending in EXPORT_NAMES
    if Path(f"x{ending}").suffix in kind.endings
} | {"onnx": ".onnx", "tflite": ".tflite", "darknet": ".cfg"}
"""Ending of the file by the format, which may have the name of its runtime."""
WEIGHTS = re.compile(r".*\.(weights|conv\.\d+)")
MEDIA = re.compile(r".*\.(jpe?g|png|bmp|webp|tiff?|avif|gif|mp4|avi|mov|mkv|webm)|.*://.*|\d+", re.IGNORECASE)
SWITCHES = {
    ("mosaic", "1.0"): "mosaic", ("fliplr", "0.5"): "flip", ("scale", "0.5"): "zoom",
    ("hsv-s", "0.7"): "colour",
}  # fmt: skip
"""Parts of the augmentation by the setting of others, and its usual value there."""
WHY = {
    "size": "a model file has its own input size",
    "workers": "seyolo takes as many as there are cores",
    "data": "class names are in the model, or: --names FILE",
}
"""Reasons why a setting is left out."""
DARKNET_IOU = "0.45"
"""Threshold of Darknet's suppression."""
MOST_SPOKEN = 4
TRAINING, DATA_ENDINGS = ("train", "slim"), (".yaml", ".yml", ".data")
LABEL_WORDS = ("MODEL", "IMAGES", "OUT")
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


def translation(arguments: Sequence[str], app: App) -> str | None:
    """Returns what seyolo says to a line in words of others; None for a line in its own."""
    words = list(arguments)
    while words and Path(words[0]).name in PROGRAMS:
        words.pop(0)
    if words and words[0] in OTHER_TASKS:
        return f"seyolo finds objects as boxes; there is no {words[0]}"
    line, rest = _verb_of(words, app)
    if line is None:
        return None
    own = options_of(line.verb, app)
    if {"--help", "-h"} & set(rest):
        return _text(line, ["--help"]) if line.spoken else None
    _read(line, rest, own)
    if not line.spoken:
        return None
    if line.spoken[0] == "test" and "source" in line.settings:
        line.verb, own = "detect", options_of("detect", app)
    if line.verb in ("export", "prune", *TRAINING):
        model = [*line.settings.get("model", []), *line.files, ""][0]
        theirs = None if line.verb in TRAINING else foreign_advice(model)
        if advice := theirs or shipped_advice(model) or finished_advice(model):
            return advice
    return _text(line, _written(line, own))


def options_of(verb: str, app: App) -> dict[str, int]:
    """Returns the number of words behind each option of a verb, by its name without dashes; -1 is any."""
    for name in verb.split():
        app = app[name]
    counted: dict[str, int] = {}
    for argument in app.assemble_argument_collection():
        count, takes_all = argument.token_count()
        flags = [name for name in argument.names if name.startswith("--")]
        counted |= {name.removeprefix("--"): -1 if takes_all else count for name in flags}
    return counted


def _verb_of(words: list[str], app: App) -> tuple[Line | None, list[str]]:
    """Returns the line with its verb, and the words behind that."""
    first, second = [*(word.removesuffix(".py") for word in words[:2]), "", ""][:2]
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


def _read(line: Line, words: list[str], own: Mapping[str, int]) -> None:
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
        if line.verb in MODEL_AND_FILES and WEIGHTS.fullmatch(file) and len(line.files) > 1:
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
    elif not is_own:
        name = OPTIONS.get(name, name)
    line.typed[name] = typed
    line.settings.setdefault(name, []).extend(values)


def _written(line: Line, own: Mapping[str, int]) -> list[str]:
    """Returns the words of seyolo's command behind its verb."""
    resumed = (line.settings.pop("resume", ["false"]) or ["true"])[-1]
    if resumed.lower() == "true":
        resumed = _run_of(line.settings.get("model", ["RUN"])[-1])
    if resumed.lower() != "false":
        return ["--resume", resumed]
    _sort_files(line)
    _name_classes(line)
    _replace_pickled(line)
    _convert_values(line, own)
    files = _positional(line)
    options: list[str] = []
    for name, values in line.settings.items():
        is_switch = own.get(name) == 0
        if name in own:
            options += [f"--{name}", *([] if is_switch else values or ["VALUE"])]
        elif name not in MEANINGLESS:
            reason = WHY.get(name)
            line.left_out.append(line.typed.get(name, name) + (f" ({reason})" if reason else ""))
    return [*files, *options]


def _run_of(model: str) -> str:
    """Returns the folder of the run that a model to be trained on lies in."""
    folder = Path(model) if not Path(model).suffix else Path(model).parent
    return str(folder.parent if folder.name == "weights" else folder)


def _sort_files(line: Line) -> None:
    """Gives files their role by their endings; the rest are sources, or what the verb takes."""
    settings, rest = line.settings, list[str]()
    if line.verb.startswith("data "):
        line.files += settings.pop("data", [])
        return
    for file in line.files:
        if WEIGHTS.fullmatch(file):
            settings["weights"] = [file]
        elif file.endswith(".data") or (file.endswith((".yaml", ".yml")) and "data" not in settings):
            settings["data"] = [file]
        elif "model" not in settings and not MEDIA.fullmatch(file):
            settings["model"] = [file]
        else:
            rest.append(file)
    line.files = rest
    weights = settings.get("weights", [""])[-1]
    if weights and "model" not in settings:
        del settings["weights"]
        settings["model"] = [weights]
        if WEIGHTS.fullmatch(weights):
            settings |= {"model": [str(Path(weights).with_suffix(".cfg"))], "weights": [weights]}


def _name_classes(line: Line) -> None:
    """Takes the class names from a Darknet .data file, where the verb needs nothing else of it."""
    path = Path((line.settings.get("data") or [""])[-1])
    if line.verb == "detect" and path.suffix == ".data" and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^\s*names\s*=\s*(.+?)\s*$", text, re.MULTILINE):
            line.settings["names"] = [found[1]]
            del line.settings["data"]


def _replace_pickled(line: Line) -> None:
    """Puts the ONNX file of a PyTorch model in its place, or for training a network of the zoo."""
    for name in ("model", "weights"):
        for number, value in enumerate(line.settings.get(name, [])):
            path = Path(value)
            is_theirs = path.suffix in (*PICKLED, ".yaml") or re.fullmatch(r"yolov?\d+\w?", value)
            if not is_theirs or is_zoo_name(value):
                continue
            if line.verb in TRAINING:
                line.left_out.append(f"{value} (training starts from a network of the zoo)")
                line.settings[name] = [_zoo_of(path.stem)] if name == "model" else []
            else:
                line.settings[name][number] = str(path.with_suffix(".onnx"))
                line.remarks.append(f"Ultralytics writes {path.stem}.onnx: {onnx_command(path)}")


def _zoo_of(stem: str) -> str:
    """Returns the name of a network of the zoo for one of Ultralytics."""
    name = stem.removesuffix("u")
    small = re.fullmatch(r"yolo.*[nst]|.*tiny.*|.*nano.*", name)
    return name if is_zoo_name(name) else "yolov7-tiny" if small else "yolov7"


def _convert_values(line: Line, own: Mapping[str, int]) -> None:
    """Converts values to the forms of seyolo; what has none is left out."""
    settings = line.settings
    if (width := line.take("width")) and (height := line.take("height")):
        settings["size"] = [height, width]
    if "size" in settings:
        settings["size"] = [_size(settings["size"])]
    for name in [name for name, values in settings.items() if values]:
        value = settings[name][-1]
        is_truth = value.lower() in ("true", "false")
        if value.lower() in ("false", "none", "null", "") or (is_truth and own.get(name, 0) != 0):
            del settings[name]
    if settings.get("batch", ["1"])[-1].startswith(("-", "0.")):
        settings["batch"] = ["auto"]
    share = re.fullmatch(r"0?\.\d+|\d+", settings.get("budget", [""])[-1])
    if share:  # of the channels that go, as Network Slimming says it
        percent = float(share[0]) * (100 if float(share[0]) < 1 else 1)
        settings["budget"] = [f"channels={percent:g}%"]
    _convert_choices(line)
    _convert_switches(line, own)
    _convert_places(line, own)


def _convert_choices(line: Line) -> None:
    """Converts the device and the optimizer."""
    if device := line.take("device"):
        gpu = re.match(r"\[?(\d+)", device)
        if gpu or re.fullmatch(r"cpu|cuda(:\d+)?|auto", device):
            line.settings["device"] = [f"cuda:{gpu[1]}" if gpu else device]
        else:
            line.left_out.append(f"device {device}")
    if (optimizer := line.take("optimizer")) and optimizer.lower() != "auto":
        if optimizer.lower() in get_args(OptimizerName):
            line.settings["optimizer"] = [optimizer.lower()]
        else:
            line.left_out.append(f"optimizer {optimizer} ({' or '.join(get_args(OptimizerName))})")


def _convert_switches(line: Line, own: Mapping[str, int]) -> None:
    """Converts strengths of augmentation: 0 switches a part off, the usual value says nothing."""
    for (name, usual), switch in SWITCHES.items():
        if f"no-{switch}" not in own or (value := line.take(name)) is None:
            continue
        if re.fullmatch(r"0(\.0*)?", value):
            line.settings[f"no-{switch}"] = [""]
        elif value != usual:
            line.left_out.append(f"{line.typed.get(name, name)} {value} (0 is --no-{switch})")


def _convert_places(line: Line, own: Mapping[str, int]) -> None:
    """Converts where results go, and what is saved."""
    settings = line.settings
    if line.verb == "detect":
        _convert_results(line)
    if "track" in own and (line.spoken[0] == "track" or line.take("tracker")):
        settings["track"] = [""]
        settings.pop("tracker", None)
    if "save" in settings and line.verb == "detect":
        settings["save"] = [",".join(dict.fromkeys([*SAVED_BY_DEFAULT, *settings["save"]]))]
    if "name" in own:
        if project := line.take("project"):
            line.left_out.append(f"project {project} (runs are in runs/{line.verb})")
        if "out" not in own and (out := line.take("out")):
            settings.setdefault("name", [Path(out).name])
    elif "out" in own and {"project", "name"} & set(settings) and line.verb != "export":
        parts = [part for name in ("project", "name") if (part := line.take(name))]
        settings.setdefault("out", ["/".join(parts)])


def _convert_results(line: Line) -> None:
    """Converts Darknet's files of results, and its suppression where nothing else is said."""
    settings = line.settings
    if settings.get("out", [""])[-1].endswith(".json"):
        settings["json"] = settings.pop("out")
    if video := line.take("out-filename"):
        settings.setdefault("out", [Path(video).stem])
    if line.spoken[0] in ("detector test", "detector demo"):
        settings.setdefault("iou", [DARKNET_IOU])


def _size(values: Sequence[str]) -> str:
    """Returns 640, or WIDTHxHEIGHT for the (height, width) of others."""
    sides = re.findall(r"\d+", " ".join(values))
    if len(sides) < 2 or "x" in values[-1]:
        return values[-1]
    height, width = sides[:2]
    return width if width == height else f"{width}x{height}"


def _positional(line: Line) -> list[str]:
    """Returns the words without an option; capitals stand for what is missing."""
    verb, settings = line.verb, line.settings
    if verb in TRAINING:
        settings.setdefault("data", ["DATA"])
        settings.setdefault("model", ["yolov7-tiny"])
        line.left_out += line.files
        return []
    if verb == "data label":
        names = ("model", "source", "out", "name")
        model, source, *out = [settings.pop(name, []) for name in names]
        words = [*model, *source, *line.files, *(out[0] or out[1])]
        return [*words, *LABEL_WORDS[len(words) :]]
    if verb not in MODEL_AND_FILES:
        return line.files
    models = settings.pop("model", ["MODEL"])
    if verb == "detect":
        return [models[-1], *([*settings.pop("source", []), *line.files] or ["IMAGES"])]
    if verb == "export":
        formats = [name for text in settings.pop("format", []) for name in re.findall(r"\w+", text.lower())]
        formats = formats or ([] if line.files or "out" in settings else ["onnx"])
        unknown = [name for name in formats if name not in FORMATS]
        line.left_out += [f"format {name} (.onnx is what others read)" for name in unknown]
        stem = str(Path(models[-1]).with_suffix(""))
        outs = [stem + FORMATS.get(name, ".onnx") for name in formats]
        return [models[-1], *(settings.pop("out", None) or [*line.files, *outs])]
    if verb == "val":
        settings.setdefault("data", ["DATA"])
    return [*models, *line.files, *(settings.pop("out", []) if verb == "prune" else [])]


def _text(line: Line, words: Sequence[str]) -> str:
    spoken = list(dict.fromkeys(line.spoken))
    listed = ", ".join(spoken[:MOST_SPOKEN]) + (" ..." if len(spoken) > MOST_SPOKEN else "")
    command = f"seyolo {line.verb} {shlex.join(words)}".strip()
    left_out = [f"left out: {', '.join(dict.fromkeys(line.left_out))}"] if line.left_out else []
    return "\n".join([f"not seyolo's words: {listed}; in seyolo:", f"  {command}", *left_out, *line.remarks])
