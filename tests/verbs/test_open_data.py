"""The data set of a run: a single split is divided as the run began."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.written_exports import labelimg_yolo
from seyolo.data.fingerprint import DATA_FILE
from seyolo.json_files import MOST_MB
from seyolo.options.train import TrainOptions
from seyolo.progress import Silent
from seyolo.verbs.start import check_data, open_data


def test_a_division_is_kept_where_its_fingerprint_is_larger_than_other_files(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    labelimg_yolo(tmp_path / "data")
    options = TrainOptions(data=tmp_path / "data")
    divided = open_data(options, folder, Silent())
    check_data(folder, divided, ("train", "val"), data_changed=False)
    stored = json.loads((folder / DATA_FILE).read_text())
    (folder / DATA_FILE).write_text(json.dumps(stored) + " " * (MOST_MB * 1_000_000))
    again = open_data(TrainOptions(data=tmp_path / "data", seed=1), folder, Silent())
    assert {name: again.images(name) for name in again.splits} == {
        name: divided.images(name) for name in divided.splits
    }
