"""Exports that are not read are named after their tool, with the format to choose there."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.written_datasets import write_image, write_text, yolo_rows
from helpers.written_exports import (
    ALL,
    all_coco,
    boxes_of,
    cvat_coco,
    cvat_yolo,
    fiftyone_coco,
    label_studio_coco,
    label_studio_yolo,
    labelimg_yolo,
    labelme,
    put_image,
)
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.unpacking import is_archive
from seyolo.errors import DataError

POINT = {"x": 3, "y": 4}
FOREIGN = {
    "vott": (
        "export/shapes-export.json",
        {"name": "shapes", "videoSettings": {"frameExtractionRate": 15}, "tags": [], "assets": {}},
        "VoTT's json is not read; choose Pascal VOC in VoTT",
    ),
    "vott_asset": ("a-asset.json", {"asset": {"format": "png", "id": "a"}, "regions": []}, "VoTT's json"),
    "via": (
        "via_region_data.json",
        {
            "a1.png123": {
                "filename": "a1.png",
                "size": 123,
                "regions": [{"shape_attributes": {"name": "rect"}}],
            }
        },
        "VIA's own format is not read; choose Export Annotations (COCO format)",
    ),
    "via_project": (
        "via_project.json",
        {"_via_settings": {"ui": {}}, "_via_img_metadata": {}},
        "VIA's own format",
    ),
    "via_csv": (
        "via_export.csv",
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n",
        "VIA's own format",
    ),
    "createml": (
        "train/_annotations.createml.json",
        [
            {
                "image": "a1.png",
                "annotations": [{"label": "hand", "coordinates": {**POINT, "width": 2, "height": 2}}],
            }
        ],
        "CreateML's json is not read; export again as YOLO, COCO or Pascal VOC",
    ),
    "label_studio": (
        "project-1.json",
        [{"id": 1, "annotations": [{"id": 1, "result": [{"original_width": 80, "value": {**POINT}}]}]}],
        "Label Studio's own JSON is not read; choose `YOLO with Images`, `COCO with Images`",
    ),
    "label_studio_min": (
        "project-1-min.json",
        [{"image": "/data/upload/1/a1.png", "label": [{**POINT, "rectanglelabels": ["hand"]}]}],
        "Label Studio's own JSON",
    ),
    "supervisely": (
        "ds0/ann/a1.png.json",
        {"description": "", "tags": [], "size": {}, "objects": [{"id": 1, "classTitle": "hand"}]},
        "Supervisely's format is not read; run Export to YOLO or Export to COCO",
    ),
    "supervisely_meta": (
        "meta.json",
        {"classes": [{"title": "hand", "shape": "rectangle"}], "tags": []},
        "Supervisely",
    ),
    "datumaro": (
        "annotations/default.json",
        {"dm_format_version": "1.0", "info": {}, "categories": {"label": {"labels": []}}, "items": []},
        "Datumaro's json is not read",
    ),
    "datumaro_info_first": (
        "annotations/default.json",
        {"info": {}, "categories": {"label": {"labels": []}}, "items": []},
        "Datumaro's json is not read",
    ),
    "labelbox": ("export.ndjson", {"data_row": {"id": "x"}, "media_attributes": {}}, "Labelbox's format"),
    "darwin": ("a1.json", {"version_": "2.0", "schema_ref": "https://darwin"}, "V7 Darwin's json"),
    "kitti": (
        "training/label_2/a1.txt",
        "hand 0.00 0 -1.57 110.00 24.00 157.00 59.00 -1 -1 -1 -1000 -1000 -1000 -10\n",
        "KITTI's format is not read; import it as KITTI into CVAT",
    ),
    "tfrecord": ("train/shapes.tfrecord", "\x00\x01", "TFRecord is not read; export again as YOLO"),
    "tfrecord_part": ("default.tfrecord-00000-of-00002", "\x00\x01", "TFRecord is not read"),
    "csv": (
        "train/_annotations.csv",
        "filename,width,height,class,xmin,ymin,xmax,ymax\n",
        "a table of boxes (.csv)",
    ),
    "keras": ("train/_annotations.txt", "a1.png 8,4,24,20,1 0,0,80,40,0\n", "Roboflow's text of all boxes"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_export_that_is_not_read(tmp_path: Path, name: str) -> None:
    place, content, message = FOREIGN[name]
    write_image(tmp_path / "a1.png")
    path = write_text(tmp_path / place, content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError) as error:
        load_dataset(tmp_path)
    assert f"{path}: " in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in FOREIGN if not name.startswith(("kitti", "keras"))])
def test_its_file(tmp_path: Path, name: str) -> None:
    place, content, message = FOREIGN[name]
    path = write_text(tmp_path / place, content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError) as error:
        load_dataset(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_other_files_are_no_exports(tmp_path: Path) -> None:
    write_image(tmp_path / "a1.png")
    write_text(tmp_path / "package.json", '{"name": "x", "version": "1.0.0"}')
    write_text(tmp_path / "prices.csv", "name,price\nx,1\n")
    write_text(tmp_path / "label/notes.txt", "hand 1 of 3\n")
    with pytest.raises(
        DataError, match=r"expected are a data\.yaml, .*: export as YOLO, COCO or Pascal VOC$"
    ):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="not a data set by its name; give a data"):
        load_dataset(tmp_path / "prices.csv")


class TestYoloLabelsInOtherFolders:
    def written(self, folder: Path, images: str, labels: str) -> None:
        for name, boxes in ALL.items():
            put_image(folder, name, images)
            write_text(folder / labels / f"{name}.txt", yolo_rows(boxes))

    @pytest.mark.parametrize(
        ("images", "labels"),
        [
            ("pictures", "labels_my-project_2024-05-01"),
            ("pictures", "my labels"),
            ("", "txt"),
            ("images", "yolo"),
            ("images/all", "Labels/all"),
            ("data", "labels"),
        ],
    )
    def test_the_command_mends_it(self, tmp_path: Path, images: str, labels: str) -> None:
        self.written(tmp_path, images, labels)
        with pytest.raises(DataError) as error:
            load_dataset(tmp_path)
        said = f"holds labels of 6 images in {tmp_path / images}, where they are not read"
        assert f"{tmp_path / labels}: {said}; rename the two folders `images` and `labels`" in str(
            error.value
        )
        assert str(error.value).endswith("; write classes.txt beside them, one name per line")
        write_text(tmp_path / "classes.txt", "face\nhand\n")
        with pytest.raises(DataError) as error:
            load_dataset(tmp_path)
        command = str(error.value).rpartition(": ")[2]
        assert shlex.split(command)[0] == "mv"
        subprocess.run(["bash", "-c", command], check=True)
        assert {name: len(rows) for name, rows in boxes_of(load_dataset(tmp_path)).items()} == {
            name: len(boxes) for name, boxes in ALL.items()
        }

    def test_own_images_for_label_studios_labels(self, tmp_path: Path) -> None:
        for number, (name, boxes) in enumerate(ALL.items()):
            put_image(tmp_path, name, "images")
            write_text(tmp_path / f"labels/{number:08x}-{name}.txt", yolo_rows(boxes))
        write_text(tmp_path / "classes.txt", "face\nhand\n")
        with pytest.raises(
            DataError, match=r"labels of 6 images .*`0+-a1\.txt` is of a1\.png; export again with"
        ):
            load_dataset(tmp_path)

    def test_the_images_of_cvats_task(self, tmp_path: Path) -> None:
        cvat_yolo(tmp_path)
        for name in ALL:
            (tmp_path / "images").mkdir(exist_ok=True)
            (tmp_path / f"obj_train_data/{name}.png").rename(tmp_path / f"images/{name}.png")
        (problem,) = check_dataset(load_dataset(tmp_path)).problems
        assert problem.text.startswith(
            f"none of the 6 images is there, the first is {tmp_path}/data/obj_train_data"
        )

    def test_the_usual_folders_lack_the_names_alone(self, tmp_path: Path) -> None:
        self.written(tmp_path, "images", "labels")
        with pytest.raises(DataError, match="there are YOLO labels but no class names: write classes"):
            load_dataset(tmp_path)


class TestWithoutImages:
    @pytest.mark.parametrize(
        ("write", "way"),
        [
            (cvat_yolo, ", with `Save images` ticked in CVAT, or put the images there"),
            (cvat_coco, ", with `Save images` ticked in CVAT"),
            (label_studio_yolo, ", in Label Studio in a format `with Images`"),
            (label_studio_coco, ", in Label Studio in a format `with Images`"),
            (fiftyone_coco, "export again with images, or put the images there"),
            (labelimg_yolo, "there is no image in it; export again with images, or put the images there"),
        ],
    )
    def test_one_line(self, tmp_path: Path, write: object, way: str) -> None:
        assert callable(write)
        write(tmp_path)
        for path in tmp_path.rglob("*.png"):
            path.unlink()
        try:
            dataset = load_dataset(tmp_path)
        except DataError as error:
            texts = [str(error)]
        else:
            texts = [str(problem) for problem in check_dataset(dataset).problems]
            assert f"none of the {len(ALL)} images is there, the first is " in texts[0]
            assert ("; looked in " in texts[0]) == dataset.layout.startswith("COCO")
            with pytest.raises(DataError) as error:
                dataset.split("train")
            assert str(error.value) == texts[0]
        (text,) = texts
        assert way in text


def test_a_coco_json_without_a_split_in_its_name_is_train(tmp_path: Path) -> None:
    for folder in ("data", "val"):
        for name in ALL:
            put_image(tmp_path / folder, name, folder)
        path = write_text(tmp_path / folder / "labels.json", json.dumps(all_coco()))
    assert list(load_dataset(path.parent.parent / "data").splits) == ["train"]
    assert list(load_dataset(path.parent.parent / "data/labels.json").splits) == ["train"]
    assert list(load_dataset(path).splits) == ["val"]  # the name of its folder


class TestNamesOfLayouts:
    def test_makesense(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path)
        (tmp_path / "classes.txt").rename(tmp_path / "labels.txt")
        dataset = load_dataset(tmp_path)
        assert (dataset.layout, dataset.names) == ("YOLO, labels.txt", ("face", "hand"))
        assert check_dataset(dataset).problems == ()

    def test_fiftyone_for_yolov4(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path / "data")
        (tmp_path / "data/classes.txt").rename(tmp_path / "obj.names")
        write_text(tmp_path / "images.txt", "".join(f"data/{name}.png\n" for name in ALL))
        assert load_dataset(tmp_path).layout == "YOLO as FiftyOne exports it for YOLOv4, obj.names"

    def test_cvats_coco_of_two_subsets(self, tmp_path: Path) -> None:
        licence = {"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": ""}}
        for subset in ("Train", "Validation"):
            for name in ALL:
                put_image(tmp_path, name, f"images/{subset}")
            write_text(
                tmp_path / f"annotations/instances_{subset}.json", json.dumps({**licence, **all_coco()})
            )
        assert load_dataset(tmp_path).layout == "COCO as CVAT exports it, instances_Train.json"


def test_archives_are_named_as_they_are_given(tmp_path: Path) -> None:
    labelme(tmp_path / "set")
    path = Path(shutil.make_archive(str(tmp_path / "mine"), "gztar", tmp_path / "set"))
    assert is_archive(path)
    assert load_dataset(path).layout == "labelme, mine.tar.gz"
