"""Names that are only hashes, and numbers for those that come twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seyolo.detecting.names import NameSet, Places, UniqueNames


def test_what_is_in_a_set_and_what_is_there_twice() -> None:
    names = NameSet(["a.jpg", "b.jpg", "a.jpg"])
    assert "a.jpg" in names
    assert "b.jpg" in names
    assert "c.jpg" not in names
    assert names.repeats("a.jpg")
    assert not names.repeats("b.jpg")
    assert "a.jpg" not in NameSet(())


def test_the_second_is_numbered() -> None:
    names = ["same.jpg", "other.jpg", "same.jpg", "same-2.jpg", "same.jpg", "same.png"]
    unique = UniqueNames(names)
    assert [unique.take(name) for name in names] == [
        "same.jpg",
        "other.jpg",
        "same-3.jpg",  # the second would be same-2.jpg, which is another's own name
        "same-2.jpg",
        "same-4.jpg",
        "same.png",
    ]


@given(st.lists(st.sampled_from(["a", "a-2", "a-2-2", "a-3", "b"]), max_size=12))
def test_no_two_are_the_same(stems: list[str]) -> None:
    names = [f"{stem}.jpg" for stem in stems]
    unique = UniqueNames(names)
    taken = [unique.take(name) for name in names]
    assert len(set(taken)) == len(names)
    assert set(names) <= set(taken)


def test_annotated_images_have_endings_that_opencv_writes() -> None:
    names = ["a.jfif", "b.JP2", "c.pgm", "d.jpe", "e.avif", "f.gif"]
    places = Places(names)
    assert [places.take(name).file for name in names] == [
        "a.jpg",
        "b.png",
        "c.ppm",
        "d.jpe",
        "e.avif",
        "f.mp4",
    ]
