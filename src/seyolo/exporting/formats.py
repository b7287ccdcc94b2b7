"""Table of the export formats, and `export`, which writes a model in the format of the path's ending."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from seyolo.darknet.weights import require_darknet
from seyolo.errors import UsageError
from seyolo.exporting.converted import check_converted
from seyolo.exporting.darknet import export_darknet
from seyolo.exporting.onnx import check_onnx, export_onnx
from seyolo.exporting.parity import Written
from seyolo.exporting.quantize import Image
from seyolo.opening.network import save
from seyolo.options.export import ENDINGS, FileOptions, export_ending
from seyolo.progress import Progress
from seyolo.runtime.choice import RUNTIMES
from seyolo.runtime.protocol import ForRuntime, Runtime
from seyolo.torchnet.build import DarknetModel


@dataclass(frozen=True)
class Format:
    """One export format; `write` returns what it wrote, its images calibrate int8, shown as progress."""

    title: str  # its name in messages
    write: Callable[[DarknetModel, Path, FileOptions, Sequence[Image], Progress | None], Written]
    options: frozenset[str] = frozenset()  # fields of `FileOptions`
    runtime: Runtime | None = None  # which is needed to compare the file with the model
    writers: tuple[str, ...] = ()  # of the extra RUNTIME-export, by the names that Python imports
    require: Callable[[DarknetModel, Path, FileOptions], None] = lambda *_: None  # refuses others

    def require_packages(self, path: Path) -> None:
        """Refuses (BackendError) to write the file of a path where a package is missing."""
        if self.runtime is not None:
            kind, extra = RUNTIMES[self.runtime], f"{self.runtime}-export" if self.writers else ""
            for package in (kind.module, *self.writers):
                with kind.needed_by(path, package, extra=extra):
                    import_module(package)

    def check(self, model: DarknetModel, path: Path, options: FileOptions) -> None:
        """Refuses (ExportError) a network that the format cannot hold."""
        check_onnx(model, options)
        self.require(model, path, options)


def export(
    model: DarknetModel,
    path: str | Path,
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    half: bool = False,
    int8: bool = False,
    for_runtime: ForRuntime | None = None,
    pictures: Sequence[Image] = (),
) -> tuple[Path, ...]:
    """Writes a model for other programs; the ending of the path chooses the format.

    `.onnx`, `.xml` with its `.bin`, `.ncnn.param` with its `.bin` and `.json`, `.mnn` or `.tflite` with its
    `.json`, `.cfg` with its `.weights`, or a `.safetensors` checkpoint.

    Args:
        model: is not changed.
        path: of the file.
        nms: non-maximum suppression inside; ONNX only.
        dynamic_batch: any number of images at once; ONNX only, Darknet files have no fixed number.
        half: kernels stored in 16 bits, half the file; ONNX, OpenVINO, ncnn and LiteRT.
        int8: convolutions in bytes, a quarter to half of a large file, and faster on some processors; ONNX,
            OpenVINO and LiteRT.
        for_runtime: the form for this runtime, one of `ForRuntime`; ONNX only.
        pictures: calibration set of int8, files or decoded images (H, W, 3) in OpenCV's BGR order: at least
            eight, best a hundred of the training data.

    Returns:
        The files written.

    Raises:
        UsageError: another ending, or an option that the format does not have.
        ExportError: a network that the format cannot hold, or an output that differs from the model's.
        BackendError: the extra of the format is not installed.

    Example:
        >>> model = seyolo.load("yolov3-tiny@0.125", num_classes=1)
        >>> [path.name for path in seyolo.export(model, "tiny.onnx")]
        ['tiny.onnx']
    """
    path = Path(path)
    options = FileOptions(nms, dynamic_batch, half, int8, for_runtime)
    if pictures and not int8:
        raise UsageError("images are for int8 only; ask for it, or leave them out")
    chosen = checked_format(path, options)
    chosen.require_packages(path)
    return chosen.write(model, path, options, pictures, None).files


def checked_format(path: Path, options: FileOptions) -> Format:
    """Returns the format of a path's ending; a UsageError refuses an unknown ending or a missing option."""
    chosen = FORMATS[export_ending(path)]
    for option, phrase in PHRASES.items():
        if getattr(options, option) and option not in chosen.options:
            others = [ending for ending, kind in FORMATS.items() if option in kind.options]
            raise UsageError(f"{path}: {chosen.title} has no {phrase}; export to {' or '.join(others)}")
    return chosen


def fitting_options(paths: Sequence[Path], options: FileOptions) -> list[FileOptions]:
    """Returns the options for each of several files: those of `WHERE_POSSIBLE` where the format has them.

    Raises:
        UsageError: a path twice, an unknown ending, a format without one of the other options, or no format
            with an option that is asked for.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(f"{', '.join(map(str, paths))}: the same file twice; give each once")
    plain = FileOptions(options.nms, options.dynamic_batch)
    formats = [checked_format(path, plain) for path in paths]
    asked = {name: value for name in WHERE_POSSIBLE if (value := getattr(options, name))}
    if any(all(name not in kind.options for kind in formats) for name in asked):
        checked_format(paths[0], options)
    kept = [{name: asked[name] for name in asked if name in kind.options} for kind in formats]
    return [replace(plain, **each) for each in kept]


def _imported(name: Runtime) -> Callable[..., Written]:
    """Returns `export_NAME` of the module of a runtime, imported when it writes."""

    def write(*arguments: object) -> Written:
        written: Written = getattr(import_module(f"seyolo.exporting.{name}"), f"export_{name}")(*arguments)
        return written

    return write


def _by_converter(
    title: str, name: Runtime, options: Collection[str] = (), writers: tuple[str, ...] = ()
) -> Format:
    """Returns the format of a runtime whose converter tells which networks it cannot hold."""

    def require(model: DarknetModel, path: Path, file_options: FileOptions) -> None:
        check_converted(model, path, file_options, import_module(f"seyolo.exporting.{name}").convert)

    return Format(title, _imported(name), frozenset(options), name, writers, require)


def _write_checkpoint(model: DarknetModel, path: Path, *_: object) -> Written:
    save(model, path)
    return Written((path,))


PHRASES = {  # the fields of `FileOptions` in messages
    "nms": "non-maximum suppression",
    "dynamic_batch": "dynamic batch",
    "half": "16-bit kernels",
    "int8": "int8",
    "for_runtime": "form for a runtime",
}
WHERE_POSSIBLE = ("half", "int8", "for_runtime")  # of several files, those whose format has it
IN_ORDER = (
    Format("ONNX", export_onnx, frozenset(PHRASES)),
    Format("OpenVINO", _imported("openvino"), frozenset({"half", "int8"}), "openvino"),
    _by_converter("ncnn", "ncnn", {"half"}, ("pnnx",)),
    _by_converter("MNN", "mnn"),
    _by_converter("LiteRT", "litert", {"half", "int8"}),
    Format(
        "Darknet",
        lambda model, path, *_: Written(export_darknet(model, path)),
        require=lambda model, *_: require_darknet(model.network),
    ),
    Format("a checkpoint", _write_checkpoint),
)
FORMATS = dict(zip(ENDINGS, IN_ORDER, strict=True))
