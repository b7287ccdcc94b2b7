"""Command lines of Ultralytics, YOLOv5, Darknet and OpenCV in seyolo's words.

`translation` is asked after an error only, so a line that seyolo understands never comes here. It reads the
line as those programs do (`key=value`, `--key value`, `-key value`, files by their endings) and writes it
with the options that the verb has. Nothing is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from cyclopts import App

from seyolo.commands.detect_targets import SAVED_BY_DEFAULT
from seyolo.commands.foreign_line import (
    FORMATS,
    MODEL_AND_FILES,
    TRAINING,
    WEIGHTS,
    WRITING,
    Line,
    line_of,
    read_words,
    stray_value,
)
from seyolo.darknet.zoo import DEFAULT_MODEL, QUICK_MODEL, is_zoo_name
from seyolo.data.unpacking import is_archive
from seyolo.options.training import OptimizerName
from seyolo.runtime.choice import RUNTIMES
from seyolo.runtime.foreign import PICKLED, finished_advice, foreign_advice, onnx_command
from seyolo.runtime.protocol import ForRuntime
from seyolo.runtime.shipped import shipped_advice

OTHER_TASKS = ("segment", "classify", "pose", "obb", "classifier")
PROGRAMS = ("yolo", "darknet", "darknet.exe", "python", "python3", "seyolo")
MEANINGLESS = frozenset(
    "task mode verbose val plots nosave save deterministic simplify exist-ok pretrained".split()
)
"""Those that ask for what seyolo does anyway."""
MEDIA = re.compile(r".*\.(jpe?g|png|bmp|webp|tiff?|avif|gif|mp4|avi|mov|mkv|webm)|.*://.*|\d+", re.IGNORECASE)
SWITCHES = {
    ("mosaic", "1.0"): "mosaic", ("fliplr", "0.5"): "flip", ("scale", "0.5"): "zoom",
    ("hsv-s", "0.7"): "colour",
}  # fmt: skip
"""Parts of the augmentation by the setting of others, and its usual value there."""
WHY = {
    "size": "a model file has its own input size",
    "workers": "seyolo takes as many as there are cores",
    "iou": "AP counts boxes from an IoU of 0.5 to 0.95 on",
    "data": "class names are in the model, or: --names FILE",
    "clear": "training starts at step 0 anyway",
    "map": "AP is measured during training anyway",
    "dont-show": "no window opens",
    "ext-output": "boxes are printed with --json -",
}
"""Reasons why a setting is left out."""
INSIDE = "suppression inside a file is at confidence 0.25 and IoU 0.6; detect has --confidence and --iou"
WHY_OF_EXPORT = WHY | {"iou": INSIDE, "confidence": INSIDE}
DARKNET_IOU = "0.45"
"""Threshold of Darknet's suppression."""
MOST_SPOKEN = 4
MODEL = "MODEL.safetensors"
EXPORTS_WITH = {
    "int8": (".onnx", ".xml", ".tflite"), "half": (".onnx", ".xml", ".ncnn.param", ".tflite"),
    "nms": (".onnx",), "dynamic-batch": (".onnx",),
}  # fmt: skip
"""Endings of the export formats that have an option."""
SEVERAL_GPUS = "several train together by torchrun --nproc-per-node N -m seyolo train"
LABEL_WORDS = ("MODEL", "IMAGES", "OUT")


def translation(arguments: Sequence[str], app: App) -> str | None:
    """Returns what seyolo says to a line in words of others; None for a line in its own."""
    words = list(arguments)
    while words and Path(words[0]).name in PROGRAMS:
        words.pop(0)
    if words and words[0] in OTHER_TASKS:
        return f"seyolo finds objects as boxes; there is no {words[0]}"
    line, rest = line_of(words, app)
    if line is None:
        return None
    own = options_of(line.verb, app)
    if {"--help", "-h"} & set(rest):
        return _text(line, ["--help"]) if line.spoken else None
    read_words(line, rest, own)
    if not line.spoken:
        return None
    if line.spoken[0] == "test" and ("source" in line.settings or any(map(_is_source, line.files))):
        line.verb, own = "detect", options_of("detect", app)
    if line.verb in ("export", "prune", *TRAINING):
        model = [*line.settings.get("model", []), *line.files, ""][0]
        theirs = None if line.verb in TRAINING else foreign_advice(model)
        if advice := theirs or shipped_advice(model) or finished_advice(model):
            is_pickled = line.verb == "export" and Path(model).suffix in PICKLED
            return f"{advice}\n{_text(line, _written(line, own))}" if is_pickled else advice
    return _text(line, _written(line, own))


def _is_source(file: str) -> bool:
    return MEDIA.fullmatch(file) is not None or Path(file).is_dir()


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
            if stray := stray_value(name, values, own):
                line.left_out.append(f"{stray} ({INSIDE if name == 'nms' else 'a switch has no value'})")
        elif name not in MEANINGLESS:
            reason = (WHY_OF_EXPORT if line.verb == "export" else WHY).get(name)
            line.left_out.append(line.typed.get(name, name) + (f" ({reason})" if reason else ""))
    return [*files, *options]


def _run_of(model: str) -> str:
    """Returns the folder of the run that a model to be trained on lies in."""
    folder = Path(model) if not Path(model).suffix else Path(model).parent
    return str(folder.parent if folder.name == "weights" else folder)


def _sort_files(line: Line) -> None:
    """Gives files their role by their endings; the rest are sources, or what the verb takes."""
    settings, rest = line.settings, list[str]()
    _part_weights(line)
    if line.verb.startswith("data "):
        line.files += settings.pop("data", [])
        return
    for file in line.files:
        if WEIGHTS.fullmatch(file) and "weights" in settings:
            if line.verb in WRITING:
                rest.append(str(Path(file).with_suffix(".cfg")))
            else:
                line.left_out.append(file)
        elif WEIGHTS.fullmatch(file):
            settings["weights"] = [file]
            if line.verb in MODEL_AND_FILES and not any(name.endswith(".cfg") for name in line.files):
                settings.setdefault("model", [str(Path(file).with_suffix(".cfg"))])
        elif file.endswith(".data") or ("data" not in settings and _is_data(file, line.verb)):
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


def _part_weights(line: Line) -> None:
    """Makes weights that are given as the model, as to OpenCV, those of the cfg."""
    settings, models = line.settings, line.settings.get("model", [])
    if line.verb in TRAINING:
        return
    if weights := [name for name in models if WEIGHTS.fullmatch(name)]:
        others = [name for name in models if name not in weights]
        settings["model"] = others or [str(Path(weights[-1]).with_suffix(".cfg"))]
        settings["weights"] = weights


def _is_data(file: str, verb: str) -> bool:
    """Tells whether a word is a description of a data set, or for training a folder or an archive."""
    path = Path(file)
    if path.suffix in (".yaml", ".yml") or verb not in TRAINING:
        return path.suffix in (".yaml", ".yml")
    is_named = is_zoo_name(file) or re.fullmatch(r"yolo\w*", file) is not None
    return is_archive(path) or path.is_dir() or not (path.suffix or is_named)


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
            if line.verb == "export":
                line.settings[name][number] = MODEL
                line.remarks.append(f"{MODEL} stands for a checkpoint of seyolo, or a .cfg with weights")
            elif line.verb in TRAINING:
                line.left_out.append(f"{value} (training starts from a network of the zoo)")
                line.settings[name] = [_zoo_of(path.stem)] if name == "model" else []
            else:
                line.settings[name][number] = str(path.with_suffix(".onnx"))
                line.remarks.append(f"Ultralytics writes {path.stem}.onnx: {onnx_command(path)}")


def _zoo_of(stem: str) -> str:
    """Returns the name of a network of the zoo for one of Ultralytics."""
    name = stem.removesuffix("u")
    small = re.fullmatch(r"yolo.*[nst]|.*tiny.*|.*nano.*", name)
    return name if is_zoo_name(name) else QUICK_MODEL if small else DEFAULT_MODEL


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
    if share:
        percent = round(float(share[0]) * (100 if float(share[0]) < 1 else 1), 6)
        settings["budget"] = [_budget(line, percent)]
    _convert_choices(line, own)
    _convert_switches(line, own)
    _convert_places(line, own)


def _budget(line: Line, percent: float) -> str:
    """Returns the budget for a share to remove: of channels, as Network Slimming counts, or of MACs."""
    typed = line.typed.get("budget", "").replace("_", "-").lower()
    if typed in ("budget", "percent", "global-threshold"):
        return f"channels={percent:g}%"
    read = f"{typed} {percent:g}% is read as the share to remove"
    line.remarks.append(f"{read}; macs= is the share to keep")
    return f"macs={100 - percent:g}%"


def _convert_choices(line: Line, own: Mapping[str, int]) -> None:
    """Converts the device, the optimizer and the runtime."""
    for name, choices in {"runtime": RUNTIMES, "for": get_args(ForRuntime)}.items():
        value = line.settings.get(name, [""])[-1]
        if value and name in own and value.partition(":")[0] not in choices:
            line.left_out.append(f"{line.typed[name]} {line.take(name)} ({', '.join(choices)})")
    if device := line.take("device"):
        gpu = re.match(r"\[?(\d+)", device)
        if gpu or re.fullmatch(r"cpu|cuda(:\d+)?|auto", device):
            line.settings["device"] = [f"cuda:{gpu[1]}" if gpu else device]
            others = re.findall(r"\d+", device)[1:] if gpu else []
            line.left_out += [f"GPU {', '.join(others)} ({SEVERAL_GPUS})"] if others else []
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
    is_cfg = settings.get("model", [""])[-1].endswith(".cfg")
    is_darknet = is_cfg and any(re.match(r"-\w{2}", word) for word in line.spoken)
    if is_darknet or line.spoken[0] in ("detector test", "detector demo"):
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
        settings.setdefault("model", [DEFAULT_MODEL])
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
        outs = [out for out in outs if Path(out).suffix not in [Path(file).suffix for file in line.files]]
        outs = settings.pop("out", []) or [*line.files, *outs]
        _drop_unfit(line, outs)
        return [models[-1], *outs]
    if verb == "val":
        settings.setdefault("data", ["DATA"])
    return [*models, *line.files, *(settings.pop("out", []) if verb == "prune" else [])]


def _drop_unfit(line: Line, outs: Sequence[str]) -> None:
    """Leaves out options of `export` that the format of no file has."""
    for name, endings in EXPORTS_WITH.items():
        if name in line.settings and not any(out.endswith(endings) for out in outs):
            del line.settings[name]
            line.left_out.append(f"{line.typed.get(name, name)} ({' or '.join(endings)} has it)")


def _text(line: Line, words: Sequence[str]) -> str:
    spoken = list(dict.fromkeys(line.spoken))
    listed = ", ".join(spoken[:MOST_SPOKEN]) + (" ..." if len(spoken) > MOST_SPOKEN else "")
    command = f"seyolo {line.verb} {shlex.join(words)}".strip()
    left_out = [f"left out: {', '.join(dict.fromkeys(line.left_out))}"] if line.left_out else []
    return "\n".join([f"not seyolo's words: {listed}; in seyolo:", f"  {command}", *left_out, *line.remarks])
