"""What holds for every verb: help, exit codes, errors as one line, and no PyTorch where it is not needed."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import seyolo
from helpers.running import Run, assert_refused
from seyolo.cli import DATA_VERBS, VERBS, main, make_app, mendable
from seyolo.errors import UsageError
from seyolo.installing import pip_install

RUN = "import sys; from seyolo.cli import main; sys.exit(main"
REPORTS = """
import sys, time
start = time.perf_counter()
from seyolo.cli import main
code = main(sys.argv[1:])
heavy = [name for name in ("torch", "numpy", "cv2", "onnxruntime") if name in sys.modules]
print(code, ",".join(heavy) or "none", file=sys.stderr)
"""


def run_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_help_lists_every_verb_and_loads_no_heavy_library() -> None:
    done = run_python(REPORTS, "--help")
    assert done.stderr.split() == ["0", "none"]
    for verb in [*VERBS, "data"]:
        assert verb in done.stdout


@pytest.mark.parametrize(
    ("line", "promised_s"),
    [
        ("import seyolo", 0.1),
        (f"{RUN}(['--help']))", 0.35),
        (f"{RUN}(['detect', 'hand', 'hand.png', '--json', '-']))", 0.6),
    ],
)
def test_a_start_is_quick(line: str, promised_s: float, tmp_path: Path) -> None:
    """The promise is for an idle machine; processor time on a busy one may double."""
    cv2.imwrite(str(tmp_path / "hand.png"), np.full((240, 320, 3), 90, np.uint8))

    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}

    def cpu_seconds() -> float:
        before = os.times()
        run = [sys.executable, "-c", line]
        subprocess.run(run, capture_output=True, timeout=120, check=True, cwd=tmp_path, env=environment)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(cpu_seconds() for _ in range(3)) < 2 * promised_s


def test_no_arguments_print_the_help(run: Run) -> None:
    outcome = run()
    assert outcome.code == 0
    assert "slim" in outcome.out


def test_version(run: Run) -> None:
    assert run("--version").out.strip() == seyolo.__version__


@pytest.mark.parametrize("verb", [*VERBS, *(f"data {verb}" for verb in DATA_VERBS if verb != "view")])
def test_a_verbs_help_is_its_docstring(verb: str, run: Run) -> None:
    names = verb.split()
    function, *_ = make_app().parse_commands(names)
    command = make_app()
    for name in names:
        command = command[name]
    first_line = (inspect.getdoc(command.default_command) or "").splitlines()[0]
    assert first_line.rstrip(".").startswith((VERBS | DATA_VERBS)[names[-1]].rstrip(".").split(",")[0])
    assert run(*names, "--help").code == 0
    assert function


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (["trian"], "did you mean train?"),
        (["info"], "MODEL is missing"),
        (["info", "yolov3", "--sise", "64"], "--size"),
        (["info", "yolov3", "--attention", "bam"], '"se", "cbam"'),
        (["val", "yolov3", "--data", "x.yaml", "--protocol", "voc"], '"coco", "oxford"'),
        (["prune", "yolov3", "out.safetensors"], "--budget"),
        (["train", "--data", "x.yaml", "--epochs", "many"], "--epochs"),
        (["train", "--data", "x.yaml", "--epochs", "1.5"], "'1.5' is no whole number"),
        (["train", "--data", "x.yaml", "--batch", "4.0"], "--batch"),
        (["info", "yolov3-tiny", "--size", "64.9"], "--size"),
        (["info", "yolov3-tiny", "--num-classes", "1.2"], "--num-classes"),
        (["data", "synth", "x", "--train", "2.5"], "--train"),
    ],
)
def test_a_mistyped_line_names_what_fits(line: list[str], part: str, run: Run) -> None:
    assert_refused(run(*line), part)


def test_json_takes_a_file_or_a_dash(run: Run) -> None:
    assert_refused(run("info", "yolov3-tiny", "--json", "--size"), "--json --size", "- for stdout")


LINES = [
    "slim --data x", "study --data x", "train --data x", "val x --data x", "detect x x",
    "prune x y.cfg --budget macs=30%",
    "export x y.onnx", "benchmark x", "info x", "demo", "data oxford x y", "data synth y", "data check x",
    "data anchors x", "data convert x y", "data split x y",
    "data label x y z",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_json_file_that_cannot_be_written_is_refused_before_any_work(
    line: str, run: Run, tmp_path: Path
) -> None:
    assert {" ".join(line.split()[: 1 + line.startswith("data")]) for line in LINES} == {
        *(set(VERBS) - {"report", "serve"}), *(f"data {verb}" for verb in DATA_VERBS if verb != "view")
    }  # fmt: skip
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for target, part in (
        ("folder", "is a folder"),
        ("file/x.json", "is a file, not a folder"),
        ("/proc/x.json", "/proc"),
        ("/proc/new/x.json", "/proc"),
    ):
        assert_refused(run(*line.split(), "--json", target), f"--json {target}: ", part)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_failed_run_leaves_no_json_file(run: Run, tmp_path: Path) -> None:
    assert run("info", "yolov9", "--json", "new/x.json").code == 2
    assert not list(tmp_path.iterdir())
    assert run("info", "yolov3-tiny", "--json", "new/x.json").code == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.json"]


def test_missing_pytorch_says_how_to_get_it(hands: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\nfrom seyolo.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    done = run_python(script, "train", "--data", str(hands), "--model", "yolov3-tiny@0.125")
    assert done.returncode == 2
    assert done.stderr.strip().endswith(pip_install("seyolo[train]"))


def test_info_and_detect_need_no_pytorch(onnx: Path, image: Path) -> None:
    assert run_python(REPORTS, "info", "yolov3").stderr.split()[0] == "0"
    done = run_python(REPORTS, "detect", str(onnx), str(image), "--json", "-")
    code, heavy = done.stderr.splitlines()[-1].split()
    assert code == "0"
    assert "torch" not in heavy.split(",")


IMPORTED = """
import os, signal, sys
target = sys.argv.pop(1)
class CtrlC:
    def find_spec(self, name, *_):
        if name == target:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, CtrlC())
from seyolo.cli import command
command()
"""


@pytest.mark.parametrize(
    "module",
    [
        "cyclopts", "rich.console", "seyolo.commands.train", "numpy.linalg", "cv2", "seyolo.api", "torch._C",
        "onnxruntime",
    ],
)  # fmt: skip
def test_ctrl_c_during_an_import_is_one_line(module: str, hands: Path, tmp_path: Path) -> None:
    line = ["train", "--data", str(hands), "--model", "yolov3-tiny@0.125", "--size", "64", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, module, *line],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("data: ")]
    assert lines[0].startswith("interrupted")
    assert len(lines) == 1


# Between "ready" and `command` nothing of ours runs yet: the signal waits for that.
STARTED = """
import signal
from seyolo import cli
main = cli.main
def listening():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return main()
cli.main = listening
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("ready", flush=True)
cli.command()
"""


@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0])
def test_ctrl_c_at_any_time_is_one_line(seconds: float, hands: Path, tmp_path: Path) -> None:
    line = ["train", "--data", str(hands), "--model", "yolov3-tiny@0.125", "--size", "64", "--epochs", "999"]
    with subprocess.Popen(
        [sys.executable, "-c", STARTED, *line],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_error_that_an_interrupted_import_became_is_still_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, run: Run, number: signal.Signals
) -> None:
    def broken(*_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        raise UsageError("numpy could not be imported")

    before = signal.getsignal(number)
    monkeypatch.setattr("seyolo.commands.info.describe", broken)
    outcome = run("info", "yolov3")
    assert (outcome.code, outcome.err) == (128 + number, "interrupted\n")
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_python_drops_comes_again(
    monkeypatch: pytest.MonkeyPatch, run: Run, number: signal.Signals
) -> None:
    """An exception raised in `__del__` ends nothing, and Ctrl-C would be lost."""

    class Freed:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def freeing(*_: object) -> None:
        Freed()
        time.sleep(60)

    before = sys.unraisablehook
    monkeypatch.setattr("seyolo.commands.info.describe", freeing)
    outcome = run("info", "yolov3")
    assert (outcome.code, outcome.err) == (128 + number, "interrupted\n")
    assert sys.unraisablehook is before


def test_sigterm_is_left_alone_among_the_processes_of_torchrun(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look(*_: object) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))
        raise UsageError("seen")

    monkeypatch.setattr("seyolo.commands.info.describe", look)
    run("info", "yolov3")
    monkeypatch.setenv("RANK", "0")
    run("info", "yolov3")
    assert [handler is before for handler in seen] == [False, True]


def test_a_full_disk_is_a_message() -> None:
    assert mendable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x")) == (
        "runs/x: No space left on device; free some space and try again"
    )


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    link = tmp_path / "dense"
    link.symlink_to("gone")
    with pytest.raises(FileExistsError) as caught:
        link.mkdir(parents=True, exist_ok=True)
    assert mendable(caught.value) == f"{link}: a link to gone, which is not there; remove the link"


def test_a_missing_package_is_named_also_where_it_is_wrapped() -> None:
    missing = ModuleNotFoundError("no", name="scipy.io")
    wrapped = ImportError("Cannot import module")  # as cyclopts 4 raises it
    wrapped.__cause__ = missing
    assert mendable(wrapped) == mendable(missing)
    command = pip_install("seyolo[train]")
    assert mendable(missing) == f"this needs scipy, which is not installed; get it with: {command}"


def test_a_bug_of_ours_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mendable(ModuleNotFoundError("no", name="seyolo.nonsense")) is None
    assert mendable(ZeroDivisionError()) is None

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("seyolo.commands.info.describe", broken)
    with pytest.raises(ZeroDivisionError):
        main(["info", "yolov3"])


def test_a_reader_that_closes_the_pipe_is_no_error() -> None:
    line = f"{sys.executable} -m seyolo info yolov3 --json - | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("quantize", "seyolo export MODEL MODEL_int8.onnx --int8 --data DATA"),
        ("readNetFromDarknet", "seyolo export MODEL.cfg MODEL.onnx"),
        ("object_detection.py", "seyolo detect MODEL IMAGES"),
        ("mo", "seyolo export MODEL MODEL.xml"),
        ("darknet", "seyolo detect MODEL.cfg IMAGES"),
    ],
)
def test_words_of_other_programs_in_the_place_of_a_verb(run: Run, word: str, line: str) -> None:
    assert_refused(run(word, "x.cfg", "x.weights"), f"in seyolo: {line}")
