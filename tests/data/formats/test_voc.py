"""VOC folders: corners, difficult objects, classes, lists, and what is said about what cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.written_datasets import voc_xml, write_image, write_text, write_voc
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError

BOX = "<bndbox><xmin>9</xmin><ymin>5</ymin><xmax>24</xmax><ymax>20</ymax></bndbox>"
HAND = f"<object><name>hand</name>{BOX}</object>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_voc(tmp_path / "VOC2007")


def annotate(folder: Path, objects: str, name: str = "a2") -> None:
    size = "<size><width>80</width><height>40</height></size>"
    write_text(folder / f"Annotations/{name}.xml", f"<annotation>\n{size}{objects}</annotation>")


class TestAnnotations:
    def test_corners_count_from_1_and_the_last_pixel_belongs_to_the_box(self, folder: Path) -> None:
        # Pixels 9 to 24 and 5 to 20 are 16 each: from 8 to 24 and 4 to 20, centre 16 and 12.
        annotate(folder, HAND)
        sample = load_dataset(folder).split("train")[1]
        np.testing.assert_array_equal(sample.boxes_cxcywh, np.float32([[16 / 80, 12 / 40, 16 / 80, 16 / 40]]))

    def test_corners_from_0_are_clipped_and_counted(self, folder: Path) -> None:
        annotate(folder, HAND.replace("<xmin>9<", "<xmin>0<").replace("<ymin>5<", "<ymin> 0.0 <"))
        dataset = load_dataset(folder)
        assert check_dataset(dataset).splits[0].num_clipped == 1
        np.testing.assert_allclose(
            dataset.split("train")[1].boxes_cxcywh, [[12 / 80, 10 / 40, 24 / 80, 20 / 40]]
        )

    def test_cvat_counts_from_0(self, folder: Path) -> None:
        write_text(
            folder / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:::\nhand:::\nface:::\n"
        )
        annotate(
            folder, HAND.replace(">9<", ">8.5<").replace(">24<", ">24.5<") + HAND.replace(">5<", ">0.0<")
        )
        dataset = load_dataset(folder)
        assert check_dataset(dataset).splits[0].num_clipped == 0
        # As its other exports: from 8.5 to 24.5 and 5 to 20; from 9 to 24 and 0 to 20.
        np.testing.assert_allclose(
            dataset.split("train")[1].boxes_cxcywh,
            [[16.5 / 80, 12.5 / 40, 16 / 80, 15 / 40], [16.5 / 80, 10 / 40, 15 / 80, 20 / 40]],
        )

    def test_difficult_objects_are_ignored_regions(self, folder: Path) -> None:
        difficult = HAND.replace("<bndbox>", "<difficult>1</difficult><bndbox>").replace(">9<", ">10<")
        annotate(folder, difficult + HAND + HAND)
        dataset = load_dataset(folder)
        train = check_dataset(dataset).splits[0]
        assert (train.num_skipped, train.num_ignored, train.num_duplicates) == (0, 1, 1)
        sample = dataset.split("train")[1]
        assert len(sample.class_ids) == len(sample.ignored) == 1
        # From 9 to 24 instead of 8 to 24.
        np.testing.assert_allclose(sample.ignored.boxes_cxcywh, [[16.5 / 80, 12 / 40, 15 / 80, 16 / 40]])
        assert not sample.ignored.is_crowd.any()

    def test_an_image_of_difficult_objects_alone_is_no_negative(self, folder: Path) -> None:
        annotate(folder, HAND.replace("<bndbox>", "<difficult>1</difficult><bndbox>"))
        dataset = load_dataset(folder)
        assert check_dataset(dataset).splits[0].num_negatives == 0
        assert len(dataset.split("train")[1].class_ids) == 0

    def test_parts_of_an_object_are_no_objects(self, folder: Path) -> None:
        annotate(folder, HAND.replace("<bndbox>", f"<part><name>thumb</name>{BOX}</part><bndbox>"))
        dataset = load_dataset(folder)
        assert dataset.names == ("face", "hand")
        assert len(dataset.split("train")[1].class_ids) == 1

    @pytest.mark.parametrize(
        ("objects", "message"),
        [
            (HAND.replace("24", "83"), r"object 1: the box reaches 3\.0 px out of the 80x40 image"),
            (HAND + HAND.replace("24", "8"), r"object 2: width 0 and height 16 must be above 0"),
            (HAND.replace("24", "nan"), r"object 1: the box .* is not finite"),
            (HAND.replace("24", "many"), r"object 1: xmax: expected a number, found 'many'"),
            (HAND.replace("<xmax>24</xmax>", ""), r"object 1: xmax: expected a number, found None"),
            (f"<object><name>hand</name></object>{HAND}", r"object 1: xmin: expected a number, found None"),
            (f"<object>{BOX}</object>", r"object 1: has no <name>"),
            (f"<object><name> </name>{BOX}</object>", r"object 1: has no <name>"),
        ],
    )
    def test_a_bad_object_is_named(self, folder: Path, objects: str, message: str) -> None:
        annotate(folder, objects)
        dataset = load_dataset(folder)
        with pytest.raises(DataError, match=r"Annotations.a2\.xml: " + message + ".*; `seyolo data check`"):
            dataset.split("train")
        (problem,) = check_dataset(dataset).problems
        assert problem.file == str(folder / "Annotations/a2.xml")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (voc_xml([(0, 1, 1, 9, 9)])[:-30], r"a2\.xml:1: not valid XML \("),
            ("", r"a2\.xml:1: not valid XML"),
            ("<annotation>\n<object>\n</annotation>", r"a2\.xml:3: not valid XML \(mismatched tag"),
            ("<html></html>", r"a2\.xml: expected <annotation> as the outermost element, found <html>"),
            ('<!DOCTYPE annotation [<!ENTITY a "aaaa">]><annotation>&a;</annotation>', "has a DOCTYPE"),
            ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "has a DOCTYPE"),
        ],
    )
    def test_a_damaged_xml(self, folder: Path, text: str, message: str) -> None:
        write_text(folder / "Annotations/a2.xml", text)
        dataset = load_dataset(folder)
        with pytest.raises(DataError, match=message):
            dataset.split("train")
        assert len(check_dataset(dataset).problems) == 1

    def test_another_encoding_hides_no_document_type(self, folder: Path) -> None:
        text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a []><annotation/>'
        (folder / "Annotations/a2.xml").write_bytes(text.encode("utf-16"))
        with pytest.raises(DataError, match=r"a2\.xml: not a text file in UTF-8"):
            load_dataset(folder).split("train")

    def test_a_declared_encoding_and_byte_order_mark(self, folder: Path) -> None:
        text = f'\ufeff<?xml version="1.0" encoding="ISO-8859-1"?>\n<annotation>{HAND}</annotation>'
        write_text(folder / "Annotations/a2.xml", text)
        assert len(load_dataset(folder).split("train")[1].class_ids) == 1

    def test_a_missing_xml(self, folder: Path) -> None:
        (folder / "Annotations/a2.xml").unlink()
        with pytest.raises(
            DataError, match=r"a2\.xml: no such file; an image without objects needs an xml without <object>"
        ):
            load_dataset(folder).split("train")  # fmt: skip

    @pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>"])
    def test_the_image_gives_a_size_that_is_not_stated(self, folder: Path, size: str) -> None:
        write_text(folder / "Annotations/a2.xml", f"<annotation>{size}{HAND}</annotation>")
        dataset = load_dataset(folder)
        sample = dataset.split("train")[1]
        np.testing.assert_array_equal(sample.boxes_cxcywh, np.float32([[16 / 80, 12 / 40, 16 / 80, 16 / 40]]))
        sample.image.write_bytes(b"")
        assert len(check_dataset(dataset).problems) == 2

    def test_a_image_of_another_size_than_stated_is_a_problem(self, folder: Path) -> None:
        xml = folder / "Annotations/b1.xml"
        xml.write_text(xml.read_text().replace("<height>40<", "<height>60<"))
        (problem,) = check_dataset(load_dataset(folder)).problems
        assert problem.text.startswith("has 80x40 pixels, but its labels state 80x60; ")

    def test_an_xml_without_image_is_a_problem(self, folder: Path) -> None:
        annotate(folder, HAND, "gone")
        (problem,) = check_dataset(load_dataset(folder)).problems
        assert Path(problem.file).name == "gone.xml"


class TestClasses:
    @pytest.mark.parametrize("file", ["labels.txt", "classes.txt"])
    def test_a_file_orders_them(self, folder: Path, file: str) -> None:
        write_text(folder / file, "hand\nfoot\nface\n\n")
        dataset = load_dataset(folder)
        assert dataset.names == ("hand", "foot", "face")
        assert dataset.split("train")[0].class_ids.tolist() == [0, 2]

    def test_a_name_that_is_not_in_it(self, folder: Path) -> None:
        write_text(folder / "labels.txt", "hands\nface\n")
        with pytest.raises(
            DataError, match=r"a1\.xml: object 1: `hand` is none of the classes; .* `hands`\?"
        ):
            load_dataset(folder).split("train")
        write_text(folder / "labels.txt", "dog\n")
        with pytest.raises(DataError, match=r"`hand` is none of the classes; there are dog"):
            load_dataset(folder).split("train")

    @pytest.mark.parametrize("text", ["", "hand\nhand\n"])
    def test_a_file_that_makes_no_sense(self, folder: Path, text: str) -> None:
        write_text(folder / "labels.txt", text)
        with pytest.raises(DataError, match=r"labels\.txt: expected one class per line, each once"):
            load_dataset(folder)

    def test_none_at_all(self, folder: Path) -> None:
        for xml in folder.glob("Annotations/*.xml"):
            xml.write_text("<annotation></annotation>")
        with pytest.raises(DataError, match=r"no object in any xml; name the classes in .*labels\.txt"):
            load_dataset(folder)


class TestSplits:
    def test_trainval_stands_in_for_train_without_the_images_of_val(self, folder: Path) -> None:
        (folder / "ImageSets/Main/train.txt").unlink()
        dataset = load_dataset(folder)
        assert list(dataset.splits) == ["train", "val", "test"]
        assert [image.stem for image in dataset.images("train")] == ["a1", "a2", "a3"]
        (folder / "ImageSets/Main/val.txt").unlink()
        dataset = load_dataset(folder)
        assert list(dataset.splits) == ["train", "test"]
        assert [image.stem for image in dataset.images("train")] == ["a1", "a2", "a3", "b1", "b2"]

    def test_names_with_endings_folders_and_spaces(self, folder: Path) -> None:
        write_image(folder / "JPEGImages/more/my photo.JPG")
        annotate(folder, HAND, "more/my photo")
        write_text(folder / "ImageSets/Main/train.txt", "a1.png\n\nmore/my photo \n")
        assert [len(sample.class_ids) for sample in load_dataset(folder).split("train")] == [2, 1]

    def test_a_missing_image_names_the_line(self, folder: Path) -> None:
        write_text(folder / "ImageSets/Main/train.txt", "a1\na4\n")
        with pytest.raises(DataError, match=r"train\.txt:2: .*JPEGImages.a4: there is no such image"):
            load_dataset(folder).split("train")

    def test_two_images_of_a_name(self, folder: Path) -> None:
        write_image(folder / "JPEGImages/a1.jpg")
        with pytest.raises(DataError, match=r"train\.txt:1: .*there are several: .*a1\.jpg, .*a1\.png"):
            load_dataset(folder).split("train")

    def test_no_lists(self, folder: Path) -> None:
        for file in (folder / "ImageSets/Main").iterdir():
            file.unlink()
        write_text(folder / "ImageSets/Main/hand_train.txt", "a1 1\n")
        with pytest.raises(DataError, match=r"names no split; write ImageSets/Main/train\.txt and val\.txt"):
            load_dataset(folder)

    def test_without_any_list_all_images_are_train(self, folder: Path) -> None:
        shutil.rmtree(folder / "ImageSets")
        dataset = load_dataset(folder)
        assert [image.stem for image in dataset.images("train")] == ["a1", "a2", "a3", "b1", "b2", "c1"]

    def test_the_folder_inside_is_found(self, folder: Path, tmp_path: Path) -> None:
        assert load_dataset(tmp_path).layout == "VOC, VOC2007"

    def test_several_folders_are_named(self, folder: Path, tmp_path: Path) -> None:
        write_voc(tmp_path / "VOC2012")
        with pytest.raises(DataError, match=r"fits 2 layouts, VOC \(.*VOC2007\) and VOC \(.*VOC2012\); give"):
            load_dataset(tmp_path)

    def test_a_part_of_one_lacks_the_rest(self, folder: Path) -> None:
        with pytest.raises(DataError, match="no known layout of a data set fits; expected are"):
            load_dataset(folder / "JPEGImages")
