"""The built wheel, installed outside of the checkout: it runs by itself and contains what it needs.

`make test-wheel` builds wheel and sdist and runs this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "dist"
PINS = ROOT / "build" / "pins.txt"
PACKAGE = ROOT / "src" / "seyolo"

pytestmark = pytest.mark.skipif(
    "SEYOLO_WHEEL" not in os.environ, reason="needs a built wheel: make test-wheel"
)


@pytest.fixture(scope="module")
def wheel() -> Path:
    (path,) = FOLDER.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel, at the locked versions of its dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install(folder / "bin", str(wheel))
    return folder / "bin"


def install(programs: Path, what: str) -> None:
    line = [
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--constraint",
        PINS,
        what,
    ]
    subprocess.run(line, check=True, cwd=programs)


def outside() -> dict[str, str]:
    """An environment in which nothing points to the checkout."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }


def run(programs: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in another folder; it must succeed."""
    line = [programs / "seyolo", *map(str, arguments)]
    done = subprocess.run(
        line, cwd=folder, env=outside(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8))
    return path


def test_it_is_the_installed_package_that_runs(environment: Path, tmp_path: Path) -> None:
    script = "import json, seyolo, sys; print(json.dumps([seyolo.__file__, sorted(sys.modules)]))"
    done = subprocess.run(
        [environment / "python", "-W", "error", "-c", script],
        cwd=tmp_path, env=outside(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, modules = json.loads(done.stdout)
    assert Path(file).is_relative_to(environment.parent)
    assert "torch" not in modules


def test_the_command_tells_its_version(environment: Path, tmp_path: Path) -> None:
    version = re.search(
        r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version is not None
    assert run(environment, tmp_path, "--version").stdout.strip() == version[1]


def test_it_detects_hands(environment: Path, photo: Path, tmp_path: Path) -> None:
    run(environment, tmp_path, "detect", "hand", photo, "--out", "out")
    assert json.loads((tmp_path / "out" / "detections.json").read_text())["model"] == "hand"


def test_it_knows_networks_and_the_card(environment: Path, tmp_path: Path) -> None:
    assert "licence: MIT" in run(environment, tmp_path, "info", "hand").stdout
    assert "MACs" in run(environment, tmp_path, "info", "se-yolov3-tiny@0.25").stdout


def test_it_draws_and_checks_data(environment: Path, tmp_path: Path) -> None:
    run(environment, tmp_path, "data", "synth", "hands", "--train", 2, "--val", 2, "--test", 2, "--size", 64)
    run(environment, tmp_path, "data", "check", "hands/data.yaml")


def test_the_wheel_contains_every_file_of_the_package(wheel: Path) -> None:
    there = {
        f"seyolo/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = zipfile.ZipFile(wheel).namelist()
    assert there == {name for name in names if name.startswith("seyolo/")}
    assert {"seyolo/py.typed", "seyolo/web/page/index.html"} <= there
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_contains_what_a_build_needs() -> None:
    (path,) = FOLDER.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/seyolo/py.typed"} <= names
    assert not {name for name in names if name.startswith(("build", ".venv", "tests/__pycache__"))}


@pytest.fixture
def page(environment: Path, wheel: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a running `seyolo serve`, with the extra that it needs."""
    install(environment, f"{wheel}[web]")
    line = [environment / "seyolo", "serve", "hand", "--port", "0"]
    with subprocess.Popen(
        line, cwd=tmp_path, env=outside(), stderr=subprocess.STDOUT, stdout=subprocess.PIPE
    ) as server:
        try:
            yield address(server)
        finally:
            server.terminate()


def address(server: subprocess.Popen[bytes]) -> str:
    """Reads what the server prints until it names its address."""
    assert server.stdout is not None
    end, told = time.monotonic() + 60, ""
    for line in iter(server.stdout.readline, b""):
        told += line.decode()
        found = re.search(r"http://[\d.:]+", told)
        if found:
            return found[0]
        assert time.monotonic() < end, told
    raise AssertionError(told)


def test_the_page_is_served_and_detects(page: str, photo: Path) -> None:
    with urllib.request.urlopen(page, timeout=60) as answer:
        assert "<title>" in answer.read().decode()
    request = urllib.request.Request(f"{page}/detect", photo.read_bytes(), {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert "detections" in json.loads(answer.read())
