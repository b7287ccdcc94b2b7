"""Long values in files, of which a message quotes a part, and deep nesting, an error that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seyolo.darknet.cfg import parse_cfg
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.formats.voc import read_voc
from seyolo.errors import MOST_QUOTED, MOST_SHOWN, DataError, SeyoloError, quoted, shortened

LONG = "x" * 9_000
WORDS = "a b " * 9_000


def test_a_value_is_shortened() -> None:
    assert shortened("hand") == "hand"
    assert len(shortened(LONG)) == len(shortened(["a" * 150] * 30)) == MOST_QUOTED
    assert quoted("it's") == '"it\'s"'
    assert quoted(16**9_000) == "<huge number>"
    nested: list[object] = []
    for _ in range(9):
        nested = [nested] * 9  # 9^9 values as text
    assert len(shortened(nested)) <= MOST_QUOTED


def test_an_error_never_fills_the_screen_and_keeps_paths() -> None:
    path = "/".join(["folder" * 30] * 5)  # 180 characters a part
    assert str(DataError(f"{path}: is bad")) == f"{path}: is bad"
    assert str(DataError(f"x: {LONG} is bad")) == f"x: {'x' * (MOST_QUOTED - 1)}… is bad"
    text = str(DataError(f"x: {WORDS} is bad"))
    assert MOST_SHOWN < len(text) < MOST_SHOWN + 10
    assert text.endswith("is bad")


def yaml_of(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "data.yaml").write_text(f"path: .\ntrain: .\n{text}\n")
        return folder / "data.yaml"

    return write


def coco_of(**changes: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        values = {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}],
            "categories": [{"id": 1, "name": "hand"}],
        }
        (folder / "val.json").write_text(json.dumps(values | changes))
        (folder / "a.jpg").touch()
        return folder / "val.json"

    return write


def darknet_of(text: str, names: str = "hand") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "obj.names").write_text(names)
        (folder / "obj.data").write_text(text)
        return folder / "obj.data"

    return write


IMAGE, LABEL = {"id": 1, "file_name": "a.jpg"}, {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}
CASES = {
    "yaml names": yaml_of(f"names: '{WORDS}'"),
    "yaml a name": yaml_of(f"names: [{', '.join(['[1]'] * 900)}]"),
    "yaml repeated names": yaml_of(f"names: [{', '.join(['a name', 'a name'] * 900)}]"),
    "yaml numbers of names": yaml_of(f"names: {{{', '.join(f'{number}: a' for number in range(7, 900))}}}"),
    "yaml nc": yaml_of(f"names: [hand]\nnc: '{WORDS}'"),
    "yaml huge nc": yaml_of(f"names: [hand]\nnc: 0x{'f' * 9_000}"),
    "yaml nc of aliases": yaml_of("names: [hand]\nlicense: &a [b, b, b]\nversion: &c [*a, *a]\nnc: [*c, *c]"),
    "yaml key": yaml_of(f"names: [hand]\n? '{WORDS}'\n: 1"),
    "yaml path": yaml_of(f"names: [hand]\npath: '{WORDS}'"),
    "yaml split": yaml_of(f"names: [hand]\nval: '{WORDS}'"),
    "yaml error": yaml_of(f"names: !!int '{WORDS}'"),
    "coco name": coco_of(categories=[{"id": 1, "name": [WORDS]}]),
    "coco repeated name": coco_of(categories=[{"id": n, "name": WORDS} for n in (1, 2)]),
    "coco file": coco_of(images=[{"id": 1, "file_name": [WORDS]}]),
    "coco missing file": coco_of(images=[{"id": 1, "file_name": "a " * 100}]),
    "coco image": coco_of(images=[IMAGE | {"id": [WORDS]}]),
    "coco repeated image": coco_of(images=[IMAGE | {"id": WORDS}] * 2, annotations=[]),
    "coco size": coco_of(images=[IMAGE | {"width": WORDS}]),
    "coco image of a label": coco_of(annotations=[LABEL | {"image_id": WORDS, "id": WORDS}]),
    "coco box": coco_of(annotations=[LABEL | {"bbox": [WORDS] * 9, "id": WORDS}]),
    "coco category": coco_of(annotations=[LABEL | {"category_id": WORDS}]),
    "darknet key": darknet_of(f"{WORDS} = 1"),
    "darknet classes": darknet_of(f"names = obj.names\nclasses = {WORDS}"),
    "darknet names": darknet_of("names = obj.names", f"{WORDS}\n" * 2),
    "darknet file": darknet_of(f"names = obj.names\ntrain = {WORDS}"),
}


def problems_of(source: Path) -> list[str]:
    """Everything that loading and checking says."""
    try:
        return [str(problem) for problem in check_dataset(load_dataset(source)).problems]
    except SeyoloError as error:
        return [str(error)]


@pytest.mark.parametrize("name", CASES)
def test_a_message_quotes_little_of_a_value(tmp_path: Path, name: str) -> None:
    source = CASES[name](tmp_path)
    problems = problems_of(source)
    assert problems
    for problem in problems:
        assert str(tmp_path) in problem
        assert len(problem.replace(str(tmp_path), "")) < 2 * MOST_QUOTED + 300
        assert "a b " * (MOST_QUOTED // 4 + 1) not in problem


@pytest.mark.parametrize("row", [WORDS, f"0 {'9' * 9_000} 0 0 0", f"0 0.5 0.5 {LONG} 1"])
def test_rows_of_labels(tmp_path: Path, row: str) -> None:
    source = yaml_of("names: [hand]")(tmp_path)
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.txt").write_text(row)
    assert max(len(problem) for problem in problems_of(source)) < len(str(tmp_path)) + 2 * MOST_QUOTED


def test_lines_of_lists_and_values_of_xml(tmp_path: Path) -> None:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "labels.txt").write_text("hand\n")
    (tmp_path / "JPEGImages/a.jpg").touch()
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\n")
    box = "<bndbox><xmin>{0}</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
    for name, corner in (("hand", WORDS), (WORDS, "1")):
        xml = f"<annotation><object><name>{name}</name>{box.format(corner)}</object></annotation>"
        (tmp_path / "Annotations/a.xml").write_text(xml)
        problems = read_voc(tmp_path).read("train", tmp_path / "JPEGImages/a.jpg", lambda: (9, 9)).problems
        assert len(problems) == 1
        assert len(problems[0].text) < MOST_QUOTED + 100
    (tmp_path / "ImageSets/Main/train.txt").write_text(f"{WORDS}\n")
    with pytest.raises(DataError, match=r"train\.txt:1: .*there is no such image") as caught:
        load_dataset(tmp_path).images("train")
    assert len(str(caught.value)) < 2 * len(str(tmp_path)) + MOST_QUOTED + 200


@pytest.mark.parametrize(
    "text",
    [
        f"[net\n{WORDS}",
        f"[{WORDS}]",
        f"[net]\n{WORDS}=1\n[yolo]",
        f"[net]\n[{WORDS}]",
        f"[net]\n[{WORDS}",
        f"[net]\nwidth={WORDS}",
        f"[net]\n[convolutional]\nbinary={WORDS}",
        f"[net]\n[yolo]\nmask={','.join(['7'] * 99)}",
    ],
)
def test_values_of_a_cfg(text: str) -> None:
    with pytest.raises(SeyoloError) as caught:
        parse_cfg(text, "x.cfg")
    assert len(str(caught.value)) < MOST_QUOTED + 500
    assert "a b " * (MOST_QUOTED // 4 + 1) not in str(caught.value)


@pytest.mark.parametrize("depth", [101, 5_000, 100_000])
def test_deep_nesting_is_an_error_that_names_the_file(tmp_path: Path, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    with pytest.raises(DataError, match=r"data\.yaml: lists are nested more than 100 deep"):
        load_dataset(yaml_of(f"names: {deep}")(tmp_path))
    (tmp_path / "x.json").write_text(f'{{"images": {deep}, "annotations": [], "categories": []}}')
    with pytest.raises(
        DataError, match=r"x\.json: (not valid JSON for us: nested too deep|images: expected)"
    ):
        load_dataset(tmp_path / "x.json")


def test_deep_nesting_without_brackets(tmp_path: Path) -> None:
    lines = [" " * depth + "names:" for depth in range(2_000)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"x\.yaml: not valid YAML \(nested too deep\)"):
        load_dataset(tmp_path / "x.yaml")


def test_deep_xml_is_read_or_refused(tmp_path: Path) -> None:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "labels.txt").write_text("hand\n")
    xml = "<annotation>" + "<part>" * 20_000 + "</part>" * 20_000 + "</annotation>"
    (tmp_path / "Annotations/a.xml").write_text(xml)
    (tmp_path / "ImageSets/Main/train.txt").write_text("")
    reading = read_voc(tmp_path).read("train", tmp_path / "JPEGImages/a.jpg", lambda: (9, 9))
    assert len(reading.labels.class_ids) == 0


@pytest.mark.parametrize(
    "value", ["!!int x", "!!timestamp x", "2001-99-99", "!!bool x", "9" * 9_000, "&a [*a]"]
)
def test_values_that_yaml_cannot_make(tmp_path: Path, value: str) -> None:
    with pytest.raises(DataError, match=r"data\.yaml: "):
        load_dataset(yaml_of(f"names: {value}")(tmp_path))
