"""`seyolo detect`: images, videos, cameras and streams in; annotated media and tables out."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from seyolo.commands.detect_targets import Targets, check_all_read
from seyolo.commands.options import MODEL_DEFAULTS, Json
from seyolo.commands.output import STDOUT, json_value, remark
from seyolo.detecting.journal import Journal
from seyolo.detecting.names import NameSet
from seyolo.detecting.outputs import Outputs, check_places
from seyolo.detecting.run import DetectRun, Tally
from seyolo.detecting.run_folder import RunFolder, Shard, parse_shard
from seyolo.detector import Detector
from seyolo.errors import UsageError
from seyolo.media.quiet import quiet_opencv
from seyolo.media.sources import STDIN, Sources, find_sources, is_live
from seyolo.opening.detector import open_detector
from seyolo.options.model import ModelOptions
from seyolo.progress import console_progress
from seyolo.runtime.protocol import class_names

JsonLines = Annotated[Path | None, Parameter(name="--jsonl", allow_leading_hyphen=True)]


@dataclass(frozen=True)
class Settings:
    """What a run is asked for: all that a resumed one needs."""

    model: str | None = None
    sources: tuple[str, ...] = ()
    confidence: float = 0.25
    iou: float = 0.6
    names: Path | None = None
    save: str | None = None
    max_frames: int | None = None
    strict: bool = False
    batch: int = 1
    device: str = "cpu"
    threads: int | None = None
    start: ModelOptions = MODEL_DEFAULTS


def detect(
    model: str | None = None,
    *sources: Annotated[str, Parameter(allow_leading_hyphen=True)],
    confidence: float = 0.25,
    iou: float = 0.6,
    names: Path | None = None,
    save: str | None = None,
    out: Path | None = None,
    max_frames: int | None = None,
    strict: Annotated[bool, Parameter(negative=())] = False,
    shard: str | None = None,
    resume: Path | None = None,
    batch: int = 1,
    device: str = "cpu",
    threads: int | None = None,
    start: ModelOptions = MODEL_DEFAULTS,
    json: Json = None,
    jsonl: JsonLines = None,
) -> None:
    """Find objects in images, videos, cameras and streams; annotated media and tables out.

    Args:
        model: hand, which comes with seyolo, an .onnx or .xml file, which need no PyTorch either, a
            checkpoint, or a .cfg with its weights; @RUNTIME:PRECISION behind it as in seyolo benchmark.
        sources: images, videos, folders of images, patterns such as 'photos/*.jpg', a camera's number,
            rtsp:// and http:// addresses, or - for an image or a list of files on stdin.
        confidence: smallest score reported, 0 to 1.
        iou: overlap above which the worse of two boxes of a class goes, 0 to 1.
        names: a file with one class name per line, instead of those in the model.
        save: what goes into the folder, with commas between: images and video (annotated), json, jsonl, csv,
            yolo, coco, crops; by default images,video,json. detections.jsonl is always there.
        out: the folder; by default a new one under runs/detect, or, with --json or --jsonl and without
            --save, none.
        max_frames: stop each video, camera or stream after so many frames.
        strict: stop at the first image or video that cannot be read.
        shard: this worker's part of the sources, such as 2/8.
        resume: the folder of a run to go on with; only --shard, --json and --jsonl go with it.
        batch: so many images at once, for models exported with --dynamic-batch.
        device: cpu, cuda or cuda:N.
        threads: of the CPU.
        json: write the detections here; - is stdout.
        jsonl: write a line of JSON per image or frame here; - is stdout, as they are found.
    """
    settings = Settings(
        model, sources, confidence, iou, names, save, max_frames, strict, batch, device, threads, start
    )
    part = Shard() if shard is None else parse_shard(shard)
    if resume is not None:
        if out is not None or settings != Settings():
            raise UsageError("--resume takes all from its run; only --shard, --json and --jsonl go with it")
        settings = _from_config(RunFolder(resume, part).config())
    _check_options(settings.sources)
    targets = Targets(out, resume, part, settings.save, json, jsonl)
    targets.check()
    tally = Tally()
    found = _sources(settings)
    if resume is not None and any(map(is_live, found.names)):
        raise UsageError(f"--resume {resume}: a camera or stream cannot be gone on with; start anew")
    detector = _detector(settings)
    if out is not None and {"images", "video"} & set(targets.saved):
        check_places(found.names, out)
    with targets.folder(tally) as folder:
        _run(settings, targets, found, detector, folder, tally=tally)
    if targets.is_kept and folder is not None:
        if tally.num_images:
            remark(f"results are in {folder.path}")
    elif STDOUT not in (targets.json, targets.jsonl):
        remark("no images drawn; for those give --out DIR")
    check_all_read(tally)
    if tally.is_interrupted:
        raise KeyboardInterrupt("results are whole up to here")


def _check_options(sources: Sequence[str]) -> None:
    """Since `-` is a source, a mistyped option arrives as one, too."""
    options = [f"--{name.replace('_', '-')}" for name in inspect.signature(detect).parameters]
    for source in sources:
        if source.startswith("-") and source != STDIN:
            near = difflib.get_close_matches(source, options, 1)
            advice = f"did you mean {near[0]}?" if near else "see seyolo detect --help"
            raise UsageError(f"{source}: no such option; {advice}")


def _from_config(values: dict[str, Any]) -> Settings:
    """The settings as they were before they became JSON."""
    start = values["start"]
    return Settings(
        **{
            **values,
            "sources": tuple(values["sources"]),
            "names": None if values["names"] is None else Path(values["names"]),
            "start": ModelOptions(
                **{
                    **start,
                    "weights": None if start["weights"] is None else Path(start["weights"]),
                    "at": tuple(start["at"]),
                }
            ),
        }
    )


def read_names(path: Path) -> list[str]:
    """The lines of a names file, without empty ones.

    Raises:
        UsageError: it cannot be read, or holds no name.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--names {path}: cannot be read as text ({error})") from None
    if not names:
        raise UsageError(f"--names {path}: holds no names; write one per line")
    return names


def _sources(settings: Settings) -> Sources:
    if settings.model is None or not settings.sources:
        raise UsageError("detect needs images: seyolo detect MODEL IMAGE_OR_FOLDER...")
    if settings.max_frames is not None and settings.max_frames < 1:
        raise UsageError(f"--max-frames {settings.max_frames}: at least 1")
    if settings.batch < 1:
        raise UsageError(f"--batch {settings.batch}: at least 1")
    return find_sources(settings.sources, None if sys.stdin is None else sys.stdin.buffer)


def _detector(settings: Settings) -> Detector:
    assert settings.model is not None, "find_sources comes first"
    backend = open_detector(settings.model, settings.start, device=settings.device, threads=settings.threads)
    names = None if settings.names is None else read_names(settings.names)
    return Detector(
        backend,
        confidence=settings.confidence,
        iou_threshold=settings.iou,
        names=None if names is None else class_names(names, len(backend.names), settings.model),
    )


def _run(
    settings: Settings,
    targets: Targets,
    sources: Sources,
    detector: Detector,
    folder: RunFolder | None,
    *,
    tally: Tally,
) -> None:
    with ExitStack() as stack:
        journal = None if folder is None else stack.enter_context(_journal(settings, targets, folder))
        outputs = Outputs(
            names=detector.names,
            folder=folder.path if folder is not None and targets.is_kept else None,
            wanted=targets.saved,
            journal=journal,
            tell=targets.tell,
        )
        done = NameSet(()) if journal is None else tally.add_past(journal.rows)
        stack.enter_context(targets.saying_how_to_go_on(folder, tally))
        stack.enter_context(quiet_opencv())
        DetectRun(
            detector=detector,
            outputs=outputs,
            sources=sources,
            progress=console_progress(),
            say=targets.say,
            shard=targets.shard,
            done=done,
            strict=settings.strict,
            max_frames=settings.max_frames,
            batch=settings.batch,
            tally=tally,
        ).run()
        if folder is not None and journal is not None:
            head = {
                "model": settings.model,
                "confidence": settings.confidence,
                "runtime": detector.backend.name,
            }
            targets.finish(folder, head, detector.names, journal.rows)


def _journal(settings: Settings, targets: Targets, folder: RunFolder) -> closing[Journal]:
    if targets.resume is not None:
        return closing(folder.resume())
    return closing(folder.start(cast("dict[str, Any]", json_value(asdict(settings)))))
