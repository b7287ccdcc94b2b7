"""`seyolo serve`: a local page and HTTP API for one or two models."""

from __future__ import annotations

from pathlib import Path

from seyolo.commands.options import MODEL_DEFAULTS
from seyolo.commands.output import remark
from seyolo.errors import UsageError
from seyolo.opening.detector import open_detector, options_for
from seyolo.options.model import ModelOptions
from seyolo.runtime.choice import MODEL_ENDINGS

EXTRA = ("starlette", "uvicorn", "python_multipart")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def serve(
    model: str,
    second: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: int = 1,
    workers: int | None = None,
    queue: int = 32,
    max_megabytes: float = 16.0,
    max_megapixels: float = 50.0,
    device: str = "cpu",
    start: ModelOptions = MODEL_DEFAULTS,
) -> None:
    """A local page and HTTP API for one model, or two side by side: images or the camera in, boxes out.

    Args:
        model: hand, an .onnx or .xml file, which need no PyTorch, a checkpoint, or a .cfg with its weights.
        second: another one to compare it with.
        host: address to listen on; 0.0.0.0 lets other machines in.
        port: to listen on; 0 is any free one.
        threads: of the CPU for each image.
        workers: images worked on at the same time; by default as many as keep every core busy.
        queue: images that may wait; more are turned away with 503.
        max_megabytes: largest upload.
        max_megapixels: largest image.
        device: cpu, cuda or cuda:N.
    """
    try:
        # The one place that needs the extra: help and every other verb work without it.
        from seyolo.web import server  # noqa: PLC0415
        from seyolo.web.app import make_app  # noqa: PLC0415
        from seyolo.web.detection import ServedModel  # noqa: PLC0415
        from seyolo.web.limits import Limits, workers_for  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        raise UsageError(
            f'serve needs {package}, which is not installed; get it with: pip install "seyolo[web]"'
        ) from None
    if workers is None:
        workers = workers_for(threads)
    limits = Limits(max_megabytes, max_megapixels, workers, queue)
    with server.listen(host, port) as listener:
        models = short_names([model] if second is None else [model, second])
        served = [
            ServedModel(name, open_detector(path, options_for(path, start), device=device, threads=threads))
            for name, path in models.items()
        ]
        is_local = server.is_loopback(listener)
        app = make_app(served, limits, [*LOCAL_NAMES, host] if is_local else None)
        remark(f"{' and '.join(models)}: {server.address(listener)} (Ctrl-C stops)")
        if not is_local:
            remark("every machine that reaches this one can use it; there is no password")
        server.run(app, listener)


def short_names(models: list[str]) -> dict[str, str]:
    """The models by their file names without folder and ending, numbered where those are equal."""
    named: dict[str, str] = {}
    for model in models:
        path = Path(model)
        name = path.stem if path.suffix in MODEL_ENDINGS else path.name
        named[f"{name} {len(named) + 1}" if name in named else name] = model
    return named
