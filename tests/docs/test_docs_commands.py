"""The commands of README.md and docs/ work: each parses as printed and runs, made small, where it stands.

Each page has a folder of its own with what `ASSUMED` says it builds on; its blocks run from top to bottom.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import helpers.doc_workspace as make
from helpers.doc_commands import INSTEAD, NOT_RUN, as_run, exchanged, possible_here, verb_of
from helpers.doc_pages import BLOCKS, COMMANDS, INLINE, PAGES, ROOT, Block, Command, blocks, commands
from seyolo.cli import DATA_VERBS, VERBS, main, make_app
from seyolo.darknet.zoo import network_from_name
from seyolo.opening.description import with_options
from seyolo.options.budget import parse_budgets
from seyolo.options.model import ModelOptions

ASSUMED = {
    "README.md": [make.hands, make.photos],
    "docs/README.md": [make.hands, make.hand],
    "docs/contributing/how-to-add.md": [],
    "docs/contributing/release.md": [],
    "docs/contributing/versions.md": [],
    "docs/decisions/0023-muon-for-the-kernels.md": [make.hands],
    "docs/decisions/0024-given-weights-on-few-images.md": [],
    "docs/evidence/controls.md": [make.hands],
    "docs/evidence/results.md": [make.hands],
    "docs/faq.md": [make.darknet],
    "docs/how-to/attention-study.md": [make.hands],
    "docs/how-to/compare.md": [make.hands],
    "docs/how-to/detect.md": [make.photos, make.clips, make.hand],
    "docs/how-to/distributed.md": [make.hands, make.runs],
    "docs/how-to/inference.md": [make.hands, make.photos, make.dense_and_slim],
    "docs/how-to/export.md": [make.photos, make.runs],
    "docs/how-to/others.md": [make.hands, make.photos, make.hand, make.foreign],
    "docs/how-to/install.md": [],
    "docs/how-to/label.md": [make.photos],
    "docs/how-to/latency.md": [make.hands, make.hand],
    "docs/evidence/runtimes.md": [],
    "docs/how-to/native.md": [],
    "docs/how-to/opencv5.md": [make.photos, make.darknet],
    "docs/how-to/plans.md": [make.hands, make.hand],
    "docs/how-to/published-recipe.md": [make.hands],
    "docs/how-to/python.md": [make.hands, make.photos, make.hand],
    "docs/how-to/raspberry-pi.md": [make.hands, make.photos, make.runs],
    "docs/how-to/reports.md": [make.hands, make.runs],
    "docs/how-to/resume.md": [make.hands, make.runs],
    "docs/how-to/serve.md": [make.photos, make.runs],
    "docs/how-to/slimming.md": [make.hands, make.runs],
    "docs/how-to/training.md": [make.hands, make.photos],
    "docs/how-to/video.md": [make.clips, make.hand],
    "docs/how-to/small-objects.md": [make.hands, make.photos],
    "docs/reference/data.md": [make.hands, make.archive],
    "docs/reference/models.md": [make.darknet],
    "docs/reference/verbs/benchmark.md": [make.hands, make.hands_run],
    "docs/reference/verbs/data.md": [make.hands, make.photos, make.archive],
    "docs/reference/verbs/demo.md": [],
    "docs/reference/verbs/detect.md": [make.photos, make.clips],
    "docs/reference/verbs/export.md": [make.hands, make.hands_run, make.darknet],
    "docs/reference/verbs/info.md": [make.darknet],
    "docs/reference/verbs/prune.md": [make.hands, make.photos, make.hands_run, make.hand],
    "docs/reference/verbs/report.md": [make.hands, make.hands_run, make.runs],
    "docs/reference/verbs/serve.md": [make.hand],
    "docs/reference/verbs/slim.md": [make.hands, make.hand],
    "docs/reference/verbs/study.md": [make.hands],
    "docs/reference/verbs/train.md": [make.hands],
    "docs/reference/verbs/val.md": [make.hands, make.hand],
    "docs/tutorials/darknet.md": [make.hands, make.photos, make.hands_run],
    "docs/tutorials/hand.md": [make.photos],
    "docs/tutorials/oxford-hand.md": [make.archive],
    "docs/tutorials/your-photos.md": [],
}
"""What lies in the reader's folder before the first command of each page."""

BEFORE = {"seyolo detect --resume found_in_parts": lambda: make.interrupt(Path("found_in_parts"))}
"""What has to happen to the reader before a command."""

LANGUAGES = {"bash", "python", "text", "yaml", "json", "ini", ""}
LANGUAGES |= {"{options}", "{verbs}", "{toctree}", "{eval-rst}", "{include}"}
SERVER_PORT = "8000"

WITH_COMMANDS = sorted({block.page for block in BLOCKS if block.language in ("bash", "python")})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages' folders are filled from."""
    folder = tmp_path_factory.mktemp("docs")
    make.make_once(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, where a shell finds this `seyolo`."""
    (tmp_path / ".bin").mkdir()
    program = tmp_path / ".bin/seyolo"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m seyolo "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / ".bin"), prepend=os.pathsep)
    # Where a server answers with an error, curl is to fail.
    (tmp_path / ".bin/.curlrc").write_text("fail\n")
    monkeypatch.setenv("CURL_HOME", str(tmp_path / ".bin"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Reader:
    """Does what a page says, block by block, in the folder where it is."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._port = ""
        self._names: dict[str, object] = {}

    def follow(self, block: Block) -> None:
        """Runs a block of commands or of Python."""
        if block.language == "python":
            text = "\n" * (block.line - 1) + possible_here(block.text)
            exec(compile(text, block.page, "exec"), self._names)
        elif block.language == "bash":
            for command in commands(block):
                BEFORE.get(command.text, lambda: None)()
                if command.text not in NOT_RUN:
                    self._run(command)

    def close(self) -> None:
        """Stops what still serves."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(timeout=60)

    def _run(self, command: Command) -> None:
        words = command.seyolo_words
        if words is not None and words[0] == "serve":
            self._serve(command)
        elif words is not None and "|" not in command.text:
            assert main(as_run(words)) == 0, command
        else:
            line = command.text.replace(f":{SERVER_PORT}/", f":{self._port}/")
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", line],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, (command, done)

    def _serve(self, command: Command) -> None:
        """Starts a server on a free port, in place of an earlier one, and waits until it listens."""
        self.close()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        line = [sys.executable, "-m", "seyolo", *(command.seyolo_words or ()), "--port", self._port]
        self._server = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", int(self._port))) == 0:
                    return
            assert self._server.poll() is None, command
            time.sleep(0.1)
        raise AssertionError(command)


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_page_does_what_it_says(page: str, made: Path, folder: Path, reader: Reader) -> None:
    for assumed in ASSUMED[page]:
        assumed(made, folder)
    for block in blocks(page):
        reader.follow(block)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.place} {command.text[:60]}")
def test_a_command_parses_as_printed(command: Command) -> None:
    words = command.seyolo_words
    if words is None:
        assert not command.text.startswith("seyolo"), command
        return
    app = make_app()
    app.parse_args(words, exit_on_error=False, print_error=False)
    app.parse_args(as_run(words), exit_on_error=False, print_error=False)


def test_what_others_stand_for_exists() -> None:
    """A network takes the gates asked for, and a budget can be read."""
    found = set()
    for command in COMMANDS:
        words = command.seyolo_words or ["info"]
        for word in exchanged(words):
            if "=" in word:
                parse_budgets(word)
            else:
                kind = words[words.index("--attention") + 1] if "--attention" in words else None
                places = (words[words.index("--at") + 1],) if "--at" in words else ()
                with_options(network_from_name(word, 1), ModelOptions(attention=kind, at=places))
            found.add(word)
    assert found == set(INSTEAD)


def test_what_is_not_run_is_on_a_page_and_what_can_be_looked_up_is_there() -> None:
    assert {*NOT_RUN, *BEFORE} <= {command.text for command in COMMANDS}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = "\n".join(PAGES.values())
    named = re.findall(r'pip install (?:-e )?"\.\[([a-z,-]+)\]"|extras? `([a-z-]+)`', text)
    assert {each for pair in named for each in ",".join(filter(None, pair)).split(",")} <= set(extras)
    for line in re.findall(r"^make ([a-z0-9-]+)$|`make ([a-z0-9-]+)`", text, flags=re.MULTILINE):
        assert re.search(rf"^{''.join(line)}:", makefile, flags=re.MULTILINE), line


def test_no_page_installs_seyolo_from_a_registry_that_does_not_have_it() -> None:
    """`docs/contributing/release.md` says what changes here with the first release."""
    pages = [name for name in PAGES if name != "docs/contributing/release.md"]
    assert [name for name in pages if re.search(r'pip install "?seyolo', PAGES[name])] == []


def test_every_page_says_what_it_assumes_and_uses_known_languages() -> None:
    assert set(ASSUMED) == set(WITH_COMMANDS)
    assert {block.language.partition(" ")[0] for block in BLOCKS} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page: str) -> None:
    """Commands inside a sentence are often shortened: their verb, options and script must exist."""
    scripts = [command.text for command in COMMANDS if command.text.startswith("python ")]
    for text in [*INLINE.findall(PAGES[page]), *scripts]:
        words = shlex.split(text)
        options = re.findall(r"--[a-z0-9-]+", text)
        if words[0] == "seyolo" and words[1] != "VERB":
            verb = verb_of(words[1:])
            assert verb in [*VERBS, "data", *(f"data {name}" for name in DATA_VERBS)], text
            assert set(options) <= known_options(verb), text
        elif words[0] == "python":
            source = (ROOT / words[1]).read_text(encoding="utf-8")
            assert all(f'"{option}"' in source for option in options), text


def known_options(verb: str) -> set[str]:
    """The long options of a verb."""
    app = make_app()
    for name in verb.split():
        app = app[name]
    if verb == "data":
        return set()
    return {name for argument in app.assemble_argument_collection() for name in argument.names}
