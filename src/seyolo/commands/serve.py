"""`seyolo serve`: a local page and HTTP API for one or two models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from seyolo.commands.output import remark
from seyolo.errors import UsageError
from seyolo.installing import pip_install
from seyolo.opening.detector import options_for, split_model
from seyolo.opening.running import Work, open_running
from seyolo.options.detect import ServeOptions
from seyolo.runtime.choice import MODEL_ENDINGS

if TYPE_CHECKING:
    from seyolo.web.detection import ServedModel

DEFAULTS = ServeOptions()
SAMPLE_SEED = 210
EXTRA = ("starlette", "uvicorn", "python_multipart")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def serve(model: str, second: str | None = None, *, options: ServeOptions = DEFAULTS) -> None:
    """A local page and HTTP API for one model, or two side by side: images or the camera in, boxes out.

    Args:
        model: hand, an .onnx or .xml file, which need no PyTorch, a checkpoint, or a .cfg with its weights.
        second: another one to compare it with.
    """
    try:
        # The one place that needs the extra: help and every other verb work without it.
        from seyolo.web import server  # noqa: PLC0415
        from seyolo.web.app import make_app  # noqa: PLC0415
        from seyolo.web.browser import runtime_folder  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        advice = f"get it with: {pip_install('seyolo[web]')}"
        raise UsageError(f"serve needs {package}, which is not installed; {advice}") from None
    runtime = None if options.browser is None else runtime_folder(options.browser)
    with server.listen(options.host, options.port) as listener:
        models = short_names([model] if second is None else [model, second])
        is_local = server.is_loopback(listener)
        hosts = [*LOCAL_NAMES, options.host] if is_local else None
        choices: list[str] = []
        app = make_app(_served(models, options, choices.append), options, hosts, runtime, sample_image)
        remark(f"{' and '.join(models)}: {server.address(listener)} (Ctrl-C stops)")
        if not is_local:
            if (nearby := server.network_address(listener)) is not None:
                remark(f"from other machines of the network: {nearby}")
            remark("every machine that reaches this one can use it; there is no password")
        allowed = server.connections_allowed(options.max_connections)
        if allowed < options.max_connections:
            remark(f"--max-connections is {allowed}: the limit of open files (ulimit -n) allows no more")
        for choice in choices:
            remark(choice)
        server.run(app, listener, replace(options, max_connections=allowed))


@cache
def sample_image() -> bytes:
    """Returns a drawn scene with two hands as JPEG."""
    # Takes 0.2 s, which only those who ask for the image wait for.
    from seyolo.data.synthetic.dataset import draw_scene  # noqa: PLC0415

    image, _ = draw_scene(np.random.default_rng(SAMPLE_SEED), 480, 640)
    return bytes(cv2.imencode(".jpg", image)[1])


def _served(
    models: Mapping[str, str], options: ServeOptions, say: Callable[[str], object]
) -> list[ServedModel]:
    """Opens the models by their short names."""
    from seyolo.web.browser import browser_file  # noqa: PLC0415 (needs the extra, as above)
    from seyolo.web.detection import ServedModel  # noqa: PLC0415
    from seyolo.web.uploads import workers_for  # noqa: PLC0415

    served = []
    work = Work(parallel=options.workers or workers_for(options.threads), takes_beside=True)
    for name, path in models.items():
        file = None if options.browser is None else browser_file(split_model(path).model, options)
        given = options_for(split_model(path).model, options)
        backend, _ = open_running(
            path, given, work, say, runtime=options.runtime, threads=options.threads, device=options.device
        )
        layout = getattr(backend, "layout", None)
        if file is not None and layout is not None and layout.kind != "rows":
            reason = "has the output of another program, which the page does not read"
            raise UsageError(f"--browser: {path} {reason}; leave --browser out")
        served.append(ServedModel(name, backend, options.tiling(backend.input_size), file))
    return served


def short_names(models: list[str]) -> dict[str, str]:
    """Returns the models by file name without folder and ending; equal names are numbered."""
    named: dict[str, str] = {}
    for model in models:
        path = Path(model)
        name = path.stem if path.suffix in MODEL_ENDINGS else path.name
        named[f"{name} {len(named) + 1}" if name in named else name] = model
    return named
