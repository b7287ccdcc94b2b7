"""The command that installs what is missing, wherever seyolo comes from."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from seyolo.installing import pip_install
from seyolo.runtime.choice import RUNTIMES

ROOT = Path(__file__).parents[1]


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None) -> None:
    """Makes a seyolo with two extras the one that is installed."""
    info = folder / "seyolo-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: seyolo\nVersion: 9\nRequires-Dist: numpy>=2.0\n"
        'Requires-Dist: torch>=2.4; extra == "train"\nRequires-Dist: scipy; extra == "train"\n'
        "Requires-Dist: openvino>=2025.0; extra == 'openvino'\n"
        "Requires-Dist: pnnx>=1; extra == 'ncnn-export'\n"
    )
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))
    found = metadata.Distribution.at(info)
    monkeypatch.setattr(metadata, "distribution", lambda name: {"seyolo": found}[name])


def test_from_a_registry_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, None)
    assert pip_install("seyolo[train]") == 'pip install "seyolo[train]"'
    assert pip_install("faster-coco-eval") == "pip install faster-coco-eval"


@pytest.mark.parametrize(
    "origin",
    [
        {"url": "file:///home/me/seyolo", "dir_info": {"editable": True}},
        {"url": "file:///home/me/seyolo-0.1.0-py3-none-any.whl", "archive_info": {}},
    ],
)
def test_from_a_clone_or_a_file_the_packages_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object]
) -> None:
    installed(tmp_path, monkeypatch, origin)
    assert pip_install("seyolo[train]") == 'pip install "torch>=2.4" scipy'
    assert pip_install("seyolo[openvino]") == 'pip install "openvino>=2025.0"'
    assert pip_install("seyolo[ncnn-export]") == 'pip install "pnnx>=1"'
    assert pip_install("seyolo[newer]") == 'pip install "seyolo[newer]"'


def test_sources_that_are_not_installed_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert pip_install("seyolo[web]") == 'pip install "seyolo[web]"'


def test_messages_name_extras_that_exist_and_leave_the_command_to_it() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    named = "".join(text for path, text in sources.items() if path.name != "installing.py")
    assert "pip install seyolo" not in named.replace('"', "").replace("'", "")
    for extra in ("train", "web", "openvino", "ncnn", "ncnn-export", "mnn", "litert", "supervision"):
        assert extra in extras
        runtimes = {kind.extra for kind in RUNTIMES.values()}
        assert f"seyolo[{extra}]" in named or extra.removesuffix("-export") in runtimes


def test_extras_that_only_run_files_bring_no_package_that_needs_pytorch() -> None:
    """pnnx requires torch, which takes 750 MB on a Raspberry Pi; only the export to ncnn needs it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in ("openvino", "ncnn", "mnn", "litert", "web", "supervision"):
        for requirement in extras[extra]:
            needs = metadata.requires(requirement.partition(">")[0]) or []
            assert not [each for each in needs if each.startswith(("torch", "pnnx")) and "extra" not in each]


@pytest.mark.parametrize("call", ["load('yolov3-tiny')", "train('photos', 'yolov3-tiny')", "api.prune_file"])
def test_what_needs_pytorch_says_so_from_python_as_on_the_command_line(call: str) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\nimport seyolo\n"
        f"try:\n    seyolo.{call}\nexcept seyolo.SeyoloError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    text = f"this needs torch, which is not installed; get it with: {pip_install('seyolo[train]')}"
    assert done.stdout.strip() == text
