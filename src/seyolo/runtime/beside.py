"""Files whose format has no place for metadata: a JSON beside them, and the backends that need it.

`x.ncnn.param` has `x.ncnn.json`, `x.mnn` has `x.mnn.json`. The JSON holds the metadata of `metadata.py`, the
channels of the input, and a digest of each file: the libraries behind these formats read damaged files
without a check, so a file that changed since it was written is refused before they see it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.files import write_json
from seyolo.json_files import read_json, to_json
from seyolo.runtime.foreign import TO_ONNX
from seyolo.runtime.metadata import read_channels, read_mode, read_names, read_pad_value, read_size
from seyolo.runtime.protocol import USUAL_SESSION, Session, class_names, require_batch

AGAIN = "write it with seyolo export"


@dataclass(frozen=True)
class Beside:
    """Content of the JSON.

    Attributes:
        metadata: see `metadata.py`.
        channels: of the input.
        sha256: digest of each file together with the input's shape, by the file's ending.
    """

    metadata: Mapping[str, str]
    channels: int
    sha256: Mapping[str, str]


class BesideBackend(ABC):
    """A detector with box decoding inside, one image at a time; settings as in `protocol.Session`.

    Without `threads` it runs in one: the threads of these libraries wait for one another by spinning, and on
    a busy machine two of ncnn's took 40 times as long as one.

    Raises:
        BackendError: the files are damaged, missing or no such detector, or the device is missing.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, path: Path, session: Session = USUAL_SESSION) -> None:
        if session.device != "cpu":
            raise BackendError(f"{self.title} files run on cpu here, not on {session.device!r}")
        self.path = path
        about = read_beside(self.path)
        self.input_size = read_size(about.metadata, [], self.path)
        self.input_channels = read_channels(about.channels, self.path)
        self.letterbox_mode = read_mode(about.metadata, self.path)
        self.pad_value = read_pad_value(about.metadata, self.path)
        self.open(session.threads or 1)
        raw = self.run(np.zeros((self.input_channels, *self.input_size), np.float32))
        if raw.ndim != 2 or raw.shape[1] < 6:
            raise BackendError(f"{self.path}: the output is {raw.shape}, expected (boxes, 5 + classes)")
        self.names = class_names(session.names or read_names(about.metadata), raw.shape[1] - 5, self.path)

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network once per image."""
        require_batch(batch, (self.input_channels, *self.input_size), self.path)
        return np.stack([self.run(image) for image in np.ascontiguousarray(batch)])

    @abstractmethod
    def open(self, threads: int) -> None:
        """Loads the file."""

    @abstractmethod
    def run(self, image: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "p columns"]:
        """Runs the network on one image."""


def beside_path(path: Path) -> Path:
    """Returns the path of the JSON of an exported file: `x.ncnn.json`, `x.mnn.json`."""
    return path.with_suffix(".json") if path.suffix == ".param" else path.with_name(f"{path.name}.json")


def files_of(path: Path) -> tuple[Path, ...]:
    """Returns the files that a runtime reads: an ncnn network is two."""
    return (path, path.with_suffix(".bin")) if path.suffix == ".param" else (path,)


def write_beside(path: Path, metadata: Mapping[str, str], channels: int) -> Path:
    """Writes the JSON of an exported file; returns its path."""
    digests = {file.suffix: _digest(file, metadata, channels) for file in files_of(path)}
    about = Beside(metadata, channels, digests)
    write_json(beside_path(path), to_json(about))
    return beside_path(path)


def read_beside(path: Path) -> Beside:
    """Reads the JSON of an exported file.

    Raises:
        BackendError: a file is missing or is not the one that was written.
    """
    _require(beside_path(path), path, f"{AGAIN}; if another program wrote it, {TO_ONNX}")
    about = read_json(beside_path(path), Beside, BackendError)
    for file in files_of(path):
        _require(file, path)
        if about.sha256.get(file.suffix) != _digest(file, about.metadata, about.channels):
            raise BackendError(f"{file}: is not the file that {beside_path(path).name} describes; {AGAIN}")
    return about


def _require(file: Path, of: Path, advice: str = AGAIN) -> None:
    if not file.is_file():
        raise BackendError(f"{file}: there is no such file, which belongs to {of.name}; {advice}")


def _digest(file: Path, metadata: Mapping[str, str], channels: int) -> str:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256")
    digest.update(f"{metadata.get('input_size')} {channels}".encode())
    return digest.hexdigest()
