"""`benchmarks/oxford.py` on a small archive of the layout of Oxford Hand: its table, stops and refusals."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from helpers.doc_pages import PAGES
from helpers.script_module import load_script
from helpers.written_oxford import add
from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.datasets import load_dataset
from seyolo.data.oxford.convert import convert
from seyolo.data.synthetic.dataset import draw_scene

ROOT = Path(__file__).parents[2]
TINY = ["--model", "yolov3-tiny@0.25", "--size", "64", "--epochs", "1", "--budget", "macs=60%"]
PARTS = ["dense", "sparse", "finetuned"]


@pytest.fixture(scope="module")
def oxford() -> ModuleType:
    return load_script(ROOT / "benchmarks/oxford.py")


def write_archive(folder: Path, sizes: tuple[int, int, int], side_px: float = 45.0) -> Path:
    """An archive with so many images per split and a square hand in each."""
    root = folder / "unpacked/hand_dataset"
    for source, number in zip(("training", "validation", "test"), sizes, strict=True):
        for seed in range(number):
            x, y = 5.0 + 3 * seed % 40, 5.0
            right, bottom = x + side_px, y + side_px
            add(root, source, f"VOC_{seed}", seed, [[(x, y), (right, y), (right, bottom), (x, bottom)]])
    archive = folder / "hand_dataset.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(root, "hand_dataset")
    shutil.rmtree(folder / "unpacked")
    return archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive"), (12, 4, 4))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_archive_becomes_a_table_of_both_protocols_over_a_stop(
    oxford: ModuleType,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = tmp_path / "runs"
    line = [str(archive), str(runs), *TINY]

    assert oxford.main([*line, "--estimate"]) == 0
    told = capsys.readouterr().err
    assert "train: found 12 images with 12 hands, published are 4,069 with 9,163" in told
    assert re.search(r"time here \(cpu, \d+ threads?\): about \d+ (s|min)\n", told)
    assert re.search(r"time on a GPU \(an H100, 650 images/s\): about \d+ s\n", told)
    assert not (runs / "slim").exists()

    evaluate, judged = oxford.evaluate_oxford, []

    def stopping(backend: object, data: object, split: str) -> object:
        judged.append(split)
        if len(judged) == 3:  # dense is judged on val and test
            raise KeyboardInterrupt
        return evaluate(backend, data, split)

    monkeypatch.setattr(oxford, "evaluate_oxford", stopping)
    assert oxford.main(line) == 130
    told = capsys.readouterr()
    assert re.search(r"AP test, all +\d\.\d{3} +– ", told.out)  # dense is there, slim is not
    again = f"go on with: python benchmarks/oxford.py {archive} {runs} {' '.join(TINY)}"
    assert re.search(rf"missing: AP of slim(, AP of slim int8)?; {re.escape(again)}\n", told.err)

    begun = {part: (runs / "slim" / part / "best.safetensors").stat().st_mtime_ns for part in PARTS}
    assert oxford.main(line) == 0
    told = capsys.readouterr()
    assert "missing" not in told.err
    for protocol in ("all", "official"):
        assert re.search(rf"AP test, {protocol} +\d\.\d{{3}} +\d\.\d{{3}} ", told.out)
    assert begun == {part: (runs / "slim" / part / "best.safetensors").stat().st_mtime_ns for part in PARTS}
    table = (runs / "table.md").read_text(encoding="utf-8")
    assert table.startswith("|  | dense | slim | change |")
    assert "images: train 12, val 4, test 4; not the published data set" in table
    kept = json.loads((runs / "results/slim.json").read_text())
    assert set(kept["test"]) == {"all", "official"}

    assert oxford.main([str(archive), str(runs), *TINY[:2], "--size", "96"]) == 2
    assert capsys.readouterr().err == (
        f"error: {runs}: was begun with other options; give those, or another folder\n"
    )


def test_a_wrong_archive_is_refused_in_a_line_and_leaves_nothing(
    oxford: ModuleType, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "photos.tar.gz"
    (tmp_path / "a.txt").write_text("no hands")
    with tarfile.open(other, "w:gz") as file:
        file.add(tmp_path / "a.txt", "a.txt")
    for wrong, problem in (
        (other, f"error: {other}: not the Oxford Hand data set; it holds none of training_dataset"),
        (tmp_path / "none.tar.gz", f"error: {tmp_path / 'none.tar.gz'}: cannot be read (No such file"),
        (tmp_path / "a.txt", f"error: {tmp_path / 'a.txt'}: "),
    ):
        assert oxford.main([str(wrong), str(tmp_path / "runs"), *TINY]) == 2
        told = capsys.readouterr().err
        assert told.startswith(problem)
        assert told.count("\n") == 1
        assert not (tmp_path / "runs").exists()


def test_another_archive_is_refused_in_the_same_folder(
    oxford: ModuleType, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    oxford.converted(archive, runs)
    second = write_archive(tmp_path, (1, 1, 1))
    assert oxford.main([str(second), str(runs)]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"error: {runs}: holds another archive's results; give another folder for {second}"


def test_the_drawn_archive_has_the_drawn_boxes_and_replaces_no_file(tmp_path: Path) -> None:
    drawn = load_script(ROOT / "benchmarks/drawn_oxford.py")
    archive = tmp_path / "hand_dataset.tar.gz"
    drawn.write_archive(archive, {"training": 3, "validation": 1, "test": 2})

    report = convert(archive, tmp_path / "oxford_hands")
    assert [count.num_pictures for count in report.counts] == [3, 1, 2]
    dataset = load_dataset(report.out / "data.yaml")
    for number, split in enumerate(("train", "val", "test")):
        for index, image in enumerate(dataset.split(split)):
            _, boxes_xyxy = draw_scene(np.random.default_rng([1, number, index]), 320, 320)
            assert np.allclose(cxcywh_to_xyxy(image.boxes_cxcywh) * 320, boxes_xyxy, atol=0.01)
    with pytest.raises(FileExistsError):
        drawn.write_archive(archive, {"training": 1})


def test_the_speed_of_a_gpu_is_that_of_the_page(oxford: ModuleType) -> None:
    page = PAGES["docs/how-to/distributed.md"]
    assert f"YOLOv3 of full width trains on {oxford.GPU_IMAGES_PER_S} images per second" in page
