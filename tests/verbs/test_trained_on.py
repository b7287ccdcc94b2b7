"""AP of the model of a run on the images of the run: said, or measured on the same val part."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.written_datasets import write_yaml
from helpers.written_exports import labelimg_yolo
from seyolo.data.datasets import load_dataset
from seyolo.data.fingerprint import DATA_FILE
from seyolo.data.splitting import for_training
from seyolo.verbs.start import check_data
from seyolo.verbs.trained_on import as_judged, run_data


def run_on(data: Path, folder: Path, model: str = "best.safetensors") -> tuple[Path, dict[str, list[Path]]]:
    """A folder of a run with a model file; returns the file, and the images of each split of the run."""
    dataset, _ = for_training(load_dataset(data), 0, {})
    path = folder / model
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (folder / "command.json").write_text("{}")
    check_data(folder, dataset, ("train", "val"), data_changed=False)
    return path, {name: dataset.images(name) for name in dataset.splits}


@pytest.mark.parametrize("model", ["best.safetensors", "dense/best.safetensors"])
def test_a_single_split_is_divided_as_the_run_divided_it(tmp_path: Path, model: str) -> None:
    labelimg_yolo(tmp_path / "data")
    path, images = run_on(tmp_path / "data", tmp_path / "run", model)
    (tmp_path / "data").rename(tmp_path / "moved")
    dataset = load_dataset(tmp_path / "moved")
    judged, (line,) = as_judged(dataset, path, None)
    assert [image.name for image in judged.images("val")] == [image.name for image in images["val"]]
    assert line == (
        f"{tmp_path}/moved: only one split, train, divided by the run {tmp_path}/run: "
        f"AP is that of its {len(images['val'])} image{'s' if len(images['val']) > 1 else ''} of val"
    )
    assert as_judged(dataset, path, "val")[0].splits.keys() == {"train", "val"}


def test_the_split_that_is_asked_for_is_measured_whole_and_said(tmp_path: Path) -> None:
    labelimg_yolo(tmp_path / "data")
    path, images = run_on(tmp_path / "data", tmp_path / "run")
    dataset = load_dataset(tmp_path / "data")
    judged, (line,) = as_judged(dataset, path, "train")
    assert judged is dataset
    num_all = len(dataset.images("train"))
    said = f"the run {tmp_path}/run trained on {len(images['train'])} of {num_all} images of split `train`"
    assert f"{said}, so AP tells little about others; the first is" in line
    assert line.startswith("warning: ")


def test_train_and_copies_of_it_are_said_and_other_splits_are_not(tmp_path: Path) -> None:
    data = write_yaml(tmp_path / "data")
    path, _ = run_on(data, tmp_path / "run")
    dataset = load_dataset(data)
    assert as_judged(dataset, path, None) == (dataset, [])
    (line,) = as_judged(dataset, path, "train")[1]
    assert "trained on 3 of 3 images of split `train`" in line
    shutil.copy(tmp_path / "data/images/train/a1.png", tmp_path / "data/images/test")
    lines = as_judged(load_dataset(data), path, None)[1]
    assert [line.partition("trained on ")[2].partition(",")[0] for line in lines] == [
        "1 of 2 images of split `test`"
    ]


def test_other_data_of_a_single_split_is_measured_whole(tmp_path: Path) -> None:
    path, _ = run_on(write_yaml(tmp_path / "data"), tmp_path / "run")
    labelimg_yolo(tmp_path / "other")
    for file in list((tmp_path / "other").rglob("*[0-9].*")):
        file.rename(file.with_name(f"new_{file.name}"))
    dataset = load_dataset(tmp_path / "other")
    assert as_judged(dataset, path, None) == (dataset, [])


def test_a_model_of_no_run_knows_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / DATA_FILE).write_text("{}")
    (tmp_path / "command.json").write_text("{}")
    assert run_data("hand") is None
    Path("x.onnx").touch()
    assert run_data("x.onnx") is None  # its data.json is none
    (tmp_path / DATA_FILE).write_text(json.dumps({"names": ["a"], "splits": {"train": {"a.png": [3, "0"]}}}))
    found = run_data("x.onnx")
    assert found is not None
    Path("a.png").write_text("abc")
    Path("b.png").write_text("abc")
    assert found.among("train", ["a.png", "b.png"]) == ["a.png"]
    assert found.among("val", ["a.png"]) == []
    (tmp_path / "command.json").unlink()
    assert run_data("x.onnx") is None
