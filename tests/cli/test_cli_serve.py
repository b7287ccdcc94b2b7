"""`serve` as a command: what it refuses, what it says, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from helpers.running import Run, assert_refused
from seyolo.commands.serve import short_names
from seyolo.installing import pip_install


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("--port 70000", "--port 70000"),
        ("--port web", "--port"),
        ("--port 0 --queue -1", "queue of 0 or more"),
        ("--port 0 --workers 0", "at least one worker"),
        ("--port 0 --max-megabytes 0", "max_megabytes must be a number above 0"),
        ("--port 0 --max-connections 0", "max_connections must be at least 1"),
        ("--port 0 --max-total-megabytes 1", "at least max_megabytes, 16, got 1"),
        ("--port 0 --upload-seconds nan", "upload_seconds must be a number above 0"),
        ("--port 0 --threads 0", "threads must be at least 1"),
        ("--port 0 third.onnx", "third.onnx"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, onnx: Path, options: str, part: str) -> None:
    assert_refused(run("serve", onnx, onnx, *options.split()), part)


def test_a_port_that_is_taken_is_said_before_any_model_is_opened(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("serve", "gone.onnx", "--port", port)
    assert_refused(outcome, f"port {port}: address already in use", "choose another --port")


def test_a_model_that_is_not_there(run: Run, onnx: Path) -> None:
    assert_refused(run("serve", onnx, "gone.onnx", "--port", 0), "gone.onnx", "no such model file")


WITHOUT = """
import sys
sys.modules["starlette"] = None
from seyolo.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_base_install_says_what_to_install() -> None:
    line = [sys.executable, "-c", WITHOUT, "serve", "x.onnx"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    command = pip_install("seyolo[web]")
    assert done.stderr == f"error: serve needs starlette, which is not installed; get it with: {command}\n"


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["runs/a/dense.onnx", "slim.safetensors"], ["dense", "slim"]),
        (["a/slim.onnx", "b/slim.xml"], ["slim", "slim 2"]),
        (["yolov3@0.25"], ["yolov3@0.25"]),
    ],
)
def test_models_are_called_by_their_files(models: list[str], names: list[str]) -> None:
    assert short_names(models) == dict(zip(names, models, strict=True))


def test_opening_it_to_other_machines_is_said(run: Run, onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seyolo.web.server.run", lambda *_: None)
    assert "machine" not in run("serve", onnx, "--port", 0).err
    line, open_to_all = "http://192.0.2.7:8000/", ("serve", onnx, "--port", 0, "--host", "0.0.0.0")
    monkeypatch.setattr("seyolo.web.server.network_address", lambda _: line)
    outcome = run(*open_to_all)
    assert outcome.code == 0
    assert re.fullmatch(r"tiny: http://127\.0\.0\.1:\d+/ \(Ctrl-C stops\)", outcome.err.splitlines()[0])
    warning = "every machine that reaches this one can use it; there is no password"
    assert outcome.err.splitlines()[1:3] == [f"from other machines of the network: {line}", warning]
    monkeypatch.setattr("seyolo.web.server.network_address", lambda _: None)
    assert run(*open_to_all).err.splitlines()[1] == warning


def test_fewer_connections_than_asked_for_are_said(
    run: Run, onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[int] = []
    monkeypatch.setattr("seyolo.web.server.run", lambda *given: served.append(given[2].max_connections))
    monkeypatch.setattr("seyolo.web.server.connections_allowed", lambda wanted: min(wanted, 20))
    remark = "--max-connections is 20: the limit of open files (ulimit -n) allows no more"
    assert remark in run("serve", onnx, "--port", 0).err
    assert "allows no more" not in run("serve", onnx, "--port", 0, "--max-connections", 10).err
    assert served == [20, 10]


def test_it_serves_until_ctrl_c(onnx: Path, image: Path) -> None:
    line = [sys.executable, "-m", "seyolo", "serve", str(onnx), str(onnx), "--port", "0"]
    line += ["--runtime", "onnxruntime"]  # chosen by measurement, it is said when the measurement ends
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert re.fullmatch(r"tiny and tiny 2: http://127\.0\.0\.1:\d+/ \(Ctrl-C stops\)\n", said)
            url = said.split()[-3]
            answer = httpx2.post(f"{url}detect?model=tiny 2", content=image.read_bytes(), timeout=60)
            assert answer.json()["model"] == "tiny 2"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
