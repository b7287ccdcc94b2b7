"""`seyolo detect`: images, videos, cameras and streams in; annotated media and tables out."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from seyolo.commands.detect_targets import Targets, check_all_read
from seyolo.commands.output import STDOUT, Json, remark
from seyolo.detecting.names import NameSet, check_places
from seyolo.detecting.outputs import Outputs
from seyolo.detecting.run import DetectRun, Tally
from seyolo.detecting.run_folder import RunFolder, Shard, parse_shard
from seyolo.detecting.work import check_areas, count_images, sample_images
from seyolo.detector import Detector
from seyolo.errors import DataError, MissingError, SeyoloError, UsageError, counted
from seyolo.json_files import from_json, to_json
from seyolo.media.images import is_picture
from seyolo.media.sources import STDIN, Sources, find_sources, is_live, kind_of
from seyolo.media.video import quiet_opencv
from seyolo.opening.detector import split_model
from seyolo.opening.running import Work, open_running
from seyolo.options.detect import DetectOptions
from seyolo.progress import console_progress
from seyolo.tracking.tracker import check_installed

JsonLines = Annotated[Path | None, Parameter(name="--jsonl", allow_leading_hyphen=True)]
DEFAULTS = DetectOptions()


@dataclass(frozen=True)
class Job:
    """All that a resumed run needs."""

    model: str | None = None
    sources: tuple[str, ...] = ()  # as given
    options: DetectOptions = DEFAULTS  # without folder, shard and --resume, which belong to one call

    def to_json(self) -> dict[str, Any]:
        """Returns what config.json holds."""
        values: dict[str, Any] = to_json(self.options)
        kept = {name: value for name, value in values.items() if name not in ("out", "shard", "resume")}
        return {"model": self.model, "sources": list(self.sources), **kept}

    def on(self, runtime: str | None, model: str | None) -> Job:
        """Returns the job with this model file on a runtime, RUNTIME or RUNTIME:PRECISION."""
        return replace(self, model=model, options=replace(self.options, runtime=runtime))

    @classmethod
    def from_json(cls, values: Mapping[str, Any], path: Path) -> Job:
        """Returns the job in a config.json; raises DataError for a value that makes no sense."""
        flat = {**values, **values.get("start", {})}  # version 0.1.0 kept the options of the model there
        try:
            return from_json({**flat, "options": from_json(flat, DetectOptions)}, cls)
        except SeyoloError as error:
            raise DataError(f"{path}: {error}; it cannot be resumed") from None


def detect(
    model: str | None = None,
    *sources: Annotated[str, Parameter(allow_leading_hyphen=True)],
    options: DetectOptions = DEFAULTS,
    json: Json = None,
    jsonl: JsonLines = None,
) -> None:
    """Find objects in images, videos, cameras and streams; annotated media and tables out.

    Args:
        model: hand, which comes with seyolo, an .onnx or .xml file, which need no PyTorch either, a
            checkpoint, or a .cfg with its weights; @RUNTIME:PRECISION behind it as in seyolo benchmark.
        sources: images, videos, folders of images, patterns such as 'photos/*.jpg', a camera's number,
            rtsp:// and http:// addresses, or - for an image or a list of files on stdin.
        json: write the detections here; - is stdout.
        jsonl: write a line of JSON per image or frame here; - is stdout, as they are found.
    """
    shard = Shard() if options.shard is None else parse_shard(options.shard)
    job = _job(Job(model, sources, replace(options, out=None, shard=None, resume=None)), options, shard)
    _check_options(job.sources)
    targets = Targets(options.out, options.resume, shard, job.options.save, json, jsonl)
    targets.check()
    found = _sources(job)
    if options.resume is not None and any(map(is_live, found.names)):
        raise UsageError(f"--resume {options.resume}: a camera or stream cannot be resumed; start a new run")
    _check_tracking(job.options, found.names)
    opening = partial(_detector, found=found, shard=shard, is_resumed=options.resume is not None)
    asked, (detector, job) = job.options.runtime, opening(job)
    if options.out is not None and {"images", "video"} & set(targets.saved):
        check_places(found.names, options.out)
    tally = Tally()
    with targets.folder(tally, job.to_json()) as folder:
        theirs = None if folder is None else folder.shared_runtime(job.to_json())
        if theirs not in (None, job.options.runtime):  # one job, one runtime: the first worker chose it
            if asked is not None:
                advice = "leave --runtime out, or give another --out"
                raise UsageError(f"--runtime {asked}: the other workers run {theirs}; {advice}")
            detector, job = opening(job.on(theirs, job.model))
        _run(job, targets, found, detector, folder, tally=tally)
    if targets.is_kept and folder is not None:
        if tally.num_images:
            remark(f"results are in {folder.path}")
    elif STDOUT not in (targets.json, targets.jsonl):
        remark("no images drawn; for those give --out DIR")
    check_all_read(tally)
    if tally.is_interrupted:
        raise KeyboardInterrupt("results are whole up to here")


def _job(job: Job, options: DetectOptions, shard: Shard) -> Job:
    """Returns the job as given, or that of the run to resume."""
    if options.resume is None:
        return job
    if options.out is not None or job != Job():
        added = "only --shard, --json and --jsonl may be added"
        raise UsageError(f"--resume takes all options from its run; {added}")
    return Job.from_json(RunFolder(options.resume, shard).config(), options.resume)


def _check_options(sources: Sequence[str]) -> None:
    """Refuses a mistyped option: since `-` is a source, it arrives as one, too."""
    names = [*(field.name for field in fields(DetectOptions)), "json", "jsonl", "model"]
    options = [f"--{name.replace('_', '-')}" for name in names]
    for source in sources:
        if source.startswith("-") and source != STDIN:
            near = difflib.get_close_matches(source, options, 1)
            advice = f"did you mean {near[0]}?" if near else "see seyolo detect --help"
            raise UsageError(f"{source}: no such option; {advice}")


def _sources(job: Job) -> Sources:
    if job.model is None:
        raise MissingError("a model and images are missing")
    if not job.sources:
        is_source = kind_of(job.model) != "picture" or is_picture(job.model)
        raise MissingError("MODEL is missing" if is_source else "images are missing behind the model")
    return find_sources(job.sources, None if sys.stdin is None else sys.stdin.buffer)


def _check_tracking(options: DetectOptions, names: Sequence[str]) -> None:
    """Refuses tracking of images alone, and lines or zones outside a video, before the model is opened."""
    if not options.tracks:
        return
    asked = "--track" if options.track else "--count"
    videos = [name for name in names if kind_of(name) not in ("picture", "stdin")]
    if not videos:
        raise UsageError(f"{asked}: images have no track ids; give a video, a camera or a stream")
    check_installed(asked)
    if len(videos) < len(names):
        remark(
            f"{asked}: {counted(len(names) - len(videos), 'image')} without track ids; only videos have them"
        )
    for name in videos if options.count else ():
        check_areas(options.areas, name)


def _detector(job: Job, found: Sources, shard: Shard, is_resumed: bool) -> tuple[Detector, Job]:
    """Opens the model; returns it with the job on the runtime that was chosen."""
    assert job.model is not None, "find_sources comes first"
    options = job.options
    total = count_images(found.names, options.max_frames)
    if is_resumed and options.runtime is None:  # begun by a version that took the usual one
        total = 1
    work = Work(
        total and total // shard.count,
        options.batch,
        samples=lambda: sample_images(found.names),
        takes_beside=shard.count == 1,  # all workers of one run take the file that is named
    )
    backend, model = open_running(job.model, options, work, remark)
    detector = Detector(
        backend,
        confidence=options.confidence,
        iou_threshold=options.iou,
        tiling=options.tiling(backend.input_size),
    )
    precision = split_model(job.model, options.runtime).precision
    return detector, job.on(backend.name if precision == "f32" else f"{backend.name}:{precision}", model)


def _run(
    job: Job, targets: Targets, found: Sources, detector: Detector, folder: RunFolder | None, *, tally: Tally
) -> None:
    with ExitStack() as stack:
        journal = None
        if folder is not None:
            names = found.names if {"images", "video"} & set(targets.saved) else None
            is_new = targets.resume is None
            opened = folder.start(job.to_json(), names) if is_new else folder.resume()
            journal = stack.enter_context(closing(opened))
        outputs = Outputs(
            names=detector.names,
            folder=folder.path if folder is not None and targets.is_kept else None,
            wanted=targets.saved,
            journal=journal,
            tell=targets.tell,
        )
        done = NameSet(()) if journal is None else tally.add_past(journal.rows)
        stack.enter_context(targets.saying_how_to_resume(folder, tally))
        stack.enter_context(quiet_opencv())
        DetectRun(
            detector=detector,
            outputs=outputs,
            sources=found,
            options=job.options,
            progress=console_progress(),
            say=targets.say,
            shard=targets.shard,
            done=done,
            tally=tally,
        ).run()
        if folder is not None and journal is not None:
            head = {
                "model": job.model,
                "confidence": job.options.confidence,
                "runtime": detector.backend.name,
                "precision": split_model(job.model or "", job.options.runtime).precision,
            }
            targets.finish(folder, head, detector.names, journal.rows, job.options)
