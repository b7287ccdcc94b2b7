"""The loaders: same batches for any number of threads, errors and stops that reach the consumer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from seyolo.data.batches import training as loader_module
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.batches.training import ImageCache, TrainingLoader, Workers
from seyolo.data.labels import Ignored
from seyolo.data.samples import Sample
from seyolo.errors import DataError, TrainingError
from seyolo.letterbox import Fit, letterbox
from seyolo.options.training import Augmentation
from seyolo.tiling.grid import Tile
from seyolo.training.loss import split_targets

NUM_SAMPLES = 7


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Seven images of noise of different sizes; the fourth has no object, the others one each."""
    made = []
    for number in range(NUM_SAMPLES):
        noise = np.random.default_rng(number).integers(0, 256, (40 + 8 * number, 64, 3), dtype=np.uint8)
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), noise)
        boxes = np.array([[0.5, 0.5, 0.4, 0.4]], dtype=np.float32)[: number != 3]
        made.append(Sample(path, boxes, np.full(len(boxes), number, dtype=np.int64)))
    return made


def loader(
    samples: list[Sample], threads: int = 1, processes: int = 0, shard: tuple[int, int] = (0, 1)
) -> TrainingLoader:
    workers = Workers(threads, processes)
    return TrainingLoader(samples, Fit((64, 64)), 3, Augmentation(), seed=1, workers=workers, shard=shard)


def assert_same_batches(one: TrainingLoader, other: TrainingLoader) -> None:
    for (images, targets), (other_images, other_targets) in zip(one.epoch(2), other.epoch(2), strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(targets, other_targets)


def assert_no_threads() -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("seyolo-loader")]


def test_batches_have_the_promised_form(samples: list[Sample]) -> None:
    batches = list(loader(samples).epoch(0))
    # 7 images in batches of 3: the last batch is filled up from the start of the order.
    assert len(batches) == len(loader(samples)) == 3
    for images, targets in batches:
        assert images.shape == (3, 3, 64, 64)
        assert images.dtype == torch.uint8
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert targets.dtype == torch.float32
        assert targets.shape[1] == 6
        corners = torch.cat([targets[:, 2:4] - targets[:, 4:] / 2, targets[:, 2:4] + targets[:, 4:] / 2])
        assert corners.min() >= -1e-3
        assert corners.max() <= 64 + 1e-3
        assert targets[:, 0].tolist() == sorted(targets[:, 0].tolist())


def test_ignored_regions_come_last_and_draw_the_same_images(samples: list[Sample]) -> None:
    region = Ignored(np.float32([[0.5, 0.5, 0.4, 0.4]]), np.array([1]), np.array([True]))
    marked = [replace(sample, ignored=region) for sample in samples]
    for (images, targets), (others, plain) in zip(
        loader(marked).epoch(0), loader(samples).epoch(0), strict=True
    ):
        assert torch.equal(images, others)
        objects, ignored = split_targets(targets)
        assert torch.equal(objects, plain)
        assert torch.equal(split_targets(plain)[0], plain)
        assert (ignored[:, 1] == -1).all()
        assert len(ignored) >= len(objects)  # a region counts where an object would be cut off too far
        # The region of an image is where its object is.
        for row in objects:
            assert any(torch.equal(row[[0, 2, 3, 4, 5]], other[[0, 2, 3, 4, 5]]) for other in ignored)


@pytest.mark.parametrize("side", [64, 24])  # at 24 px images are stored smaller
def test_targets_need_no_decoding(
    samples: list[Sample], side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = Ignored(np.float32([[0.3, 0.3, 0.4, 0.4]]), np.array([1]), np.array([False]))
    tile = Tile(8, 4, 40, 38)
    marked = [
        *samples,
        replace(samples[0], ignored=region),
        replace(samples[1], tile=tile),
        _turned(tmp_path),
    ]
    batches = TrainingLoader(marked, Fit((side, 2 * side)), 3, Augmentation(), seed=1)
    expected = [targets.numpy() for _, targets in batches.epoch(0)]
    monkeypatch.setattr(ImageCache, "fetch", None)
    found = list(TrainingLoader(marked, Fit((side, 2 * side)), 3, Augmentation(), seed=1).targets(4))
    assert len(found) == len(expected) == 4
    for rows, others in zip(found, expected, strict=True):
        np.testing.assert_array_equal(rows, others)


def _turned(folder: Path) -> Sample:
    """A JPEG that is shown turned by a quarter."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (60, 30)).save(folder / "turned.jpg", exif=exif)
    box = np.array([[0.4, 0.5, 0.3, 0.6]], np.float32)
    return Sample(folder / "turned.jpg", box, np.array([2]))


def test_batches_do_not_depend_on_the_threads_nor_on_the_cache(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = loader(samples)
    assert_same_batches(expected, loader(samples, threads=3))
    monkeypatch.setattr(loader_module, "CACHE_BYTES", 0)
    monkeypatch.setattr(loader_module, "PREFETCH", 1)
    assert_same_batches(expected, loader(samples, threads=2))


def test_the_memory_for_images_is_a_limit(samples: list[Sample]) -> None:
    batches = TrainingLoader(
        samples, Fit((64, 64)), 3, Augmentation(), seed=1, workers=Workers(cache_bytes=20_000)
    )
    list(batches.epoch(0))
    cached = batches._maker.cache._images.values()
    assert 0 < sum(level.nbytes for image in cached for level in image.levels) <= 20_000
    assert_same_batches(loader(samples), batches)


def test_batches_do_not_depend_on_the_processes(samples: list[Sample]) -> None:
    of_processes = loader(samples, processes=2)
    assert_same_batches(loader(samples), of_processes)
    for _ in of_processes.epoch(1):
        break
    assert_same_batches(loader(samples), of_processes)  # the same two, and nothing is left of epoch 1
    start = time.monotonic()
    of_processes.close()
    assert not multiprocessing.active_children()
    assert time.monotonic() - start < 4  # seconds; PyTorch waits five for one that does not hear


@pytest.mark.parametrize(("free", "expected"), [(10**9, 8), (4 * 3 * 10**6, 3), (10**6, 0)])
def test_no_more_processes_draw_than_shared_memory_has_room_for(
    monkeypatch: pytest.MonkeyPatch, free: int, expected: int
) -> None:
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(loader_module.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(loader_module, "SHARED_MEMORY", Path.cwd())
    with nullcontext() if expected == 8 else pytest.warns(UserWarning, match="not of 8; give it more"):
        assert loader_module.affordable(8, 10**6) == expected


def test_without_room_for_a_process_threads_draw(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "affordable", lambda processes, batch_bytes: 0)
    of_processes = loader(samples, processes=2)
    assert_same_batches(loader(samples), of_processes)
    assert of_processes._pool is None


def test_shards_of_a_batch_together_are_the_batch(samples: list[Sample]) -> None:
    shards = [loader(samples, shard=(number, 3)) for number in range(3)]
    assert [len(shard) for shard in shards] == [len(loader(samples))] * 3
    parts = zip(*(shard.epoch(2) for shard in shards), strict=True)
    for (images, targets), batch in zip(loader(samples).epoch(2), parts, strict=True):
        assert torch.equal(torch.cat([part[0] for part in batch]), images)
        for number, (_, rows) in enumerate(batch):
            assert torch.equal(rows[:, 1:], targets[targets[:, 0] == number, 1:])
            assert (rows[:, 0] == 0).all()


def test_epochs_and_seeds_differ(samples: list[Sample]) -> None:
    one = loader(samples)
    other = TrainingLoader(samples, Fit((64, 64)), 3, Augmentation(), seed=2)
    first = next(iter(one.epoch(0)))[0]
    assert not torch.equal(first, next(iter(one.epoch(1)))[0])
    assert not torch.equal(first, next(iter(other.epoch(0)))[0])
    assert torch.equal(first, next(iter(one.epoch(0)))[0])


def test_every_image_is_seen_once_before_any_is_repeated(samples: list[Sample]) -> None:
    # Single images that always show their object: its class tells which image a row was made from.
    recipe = Augmentation(mosaic=0.0, scale_min=0.5, scale_max=0.9)
    targets = [rows for _, rows in TrainingLoader(samples, Fit((64, 64)), 3, recipe, seed=0).epoch(0)]
    numbers = [int(class_id) for rows in targets for class_id in rows[:, 1]]
    with_object = {0, 1, 2, 4, 5, 6}
    assert set(numbers) == with_object
    assert len(set(numbers[:5])) == 5


def test_an_epoch_may_have_its_own_recipe_and_size(samples: list[Sample]) -> None:
    batches = list(loader(samples).epoch(0, augmentation=Augmentation(mosaic=0.0), size_hw=(96, 96)))
    assert all(images.shape == (3, 3, 96, 96) for images, _ in batches)
    assert all(len(targets) <= 3 for _, targets in batches)


def test_colours_arrive_as_rgb(tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), (255, 0, 0), dtype=np.uint8))
    sample = Sample(path, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    still = Augmentation(
        mosaic=0.0,
        scale_min=1.0,
        scale_max=1.0,
        aspect=0.0,
        translate=0.0,
        hue=0.0,
        saturation=0.0,
        value=0.0,
        gamma=0.0,
    )
    images, _ = next(iter(TrainingLoader([sample], Fit((64, 64)), 1, still, seed=0).epoch(0)))
    assert images[0, :, 32, 32].tolist() == [0, 0, 255]
    images, _, _ = next(iter(evaluation_batches([sample], Fit((64, 64)), 1)))
    assert images[0, 32, 32].tolist() == [0, 0, 255]


def test_no_samples_is_an_error() -> None:
    with pytest.raises(DataError, match="no images to train on"):
        loader([])


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 3}, {"processes": 2}])
def test_an_unreadable_image_is_named_where_batches_are_consumed(
    samples: list[Sample], options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "CACHE_BYTES", 0)
    data = samples[5].image.read_bytes()
    samples[5].image.write_bytes(data[: len(data) // 2])
    with (
        pytest.raises(DataError, match=r"5\.png.*truncated") as caught,
        closing(loader(samples, **options)) as broken,
    ):
        list(broken.epoch(0))
    assert "\n" not in str(caught.value)
    del caught  # or its frames keep the processes until the collector of cycles finds them
    assert not multiprocessing.active_children()
    assert_no_threads()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaving_the_loop_stops_the_threads(samples: list[Sample], error: type[BaseException]) -> None:
    batches = loader(samples, threads=2).epoch(0)

    def consume() -> None:
        for _ in batches:
            raise error

    with pytest.raises(error):
        consume()
    batches.close()
    assert_no_threads()


def test_breaking_out_stops_the_threads(samples: list[Sample]) -> None:
    for _ in loader(samples).epoch(0):
        break
    assert_no_threads()


def test_no_more_than_prefetch_batches_are_made_ahead(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    fetch = ImageCache.fetch
    monkeypatch.setattr(ImageCache, "fetch", lambda self, index: fetched.append(index) or fetch(self, index))
    monkeypatch.setattr(loader_module, "PREFETCH", 3)
    batches = TrainingLoader(samples * 10, Fit((64, 64)), 1, Augmentation(mosaic=0.0), seed=0).epoch(0)
    next(batches)
    batches.close()
    assert len(fetched) <= 3


def test_the_cache_keeps_what_fits_and_shrinks_the_rest(samples: list[Sample]) -> None:
    # A 40x64 image with its half (20x32) takes (40*64 + 20*32) * 3 = 9600 bytes: one fits, two do not.
    cache = ImageCache(samples, long_side_px=64, budget_bytes=12_000)
    first, second = cache.fetch(0), cache.fetch(1)
    assert sum(level.nbytes for level in first.levels) == 9600
    assert cache.fetch(0) is first
    assert cache.fetch(1) is not second
    small = ImageCache(samples, long_side_px=32, budget_bytes=0).fetch(0)
    assert small.levels[0].shape == (20, 32, 3)


def test_inputs_that_stretch_keep_the_resolution_of_each_side(tmp_path: Path) -> None:
    """A panorama keeps its rows: shrunk as a whole it would lose them, and be enlarged for the input."""
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), np.zeros((60, 400, 3), np.uint8))
    wide = [Sample(path, np.array([[0.5, 0.5, 0.2, 0.4]], np.float32), np.array([1]))]
    assert ImageCache(wide, 96, 0, keeps_aspect=False).fetch(0).size_hw == (60, 96)
    assert ImageCache(wide, 96, 0, keeps_aspect=False).undecoded(0).size_hw == (60, 96)
    plain = Augmentation(mosaic=0.0, scale_min=1.0, scale_max=1.0, aspect=0.0, translate=0.0, keep_object=0.0)
    stretching = TrainingLoader(wide, Fit((64, 64), "stretch"), 1, plain, seed=1)
    [(_, targets)] = stretching.epoch(0)
    assert targets[0].tolist() == pytest.approx([0, 1, 32, 32, 0.2 * 64, 0.4 * 64])
    assert next(stretching.targets(1))[0].tolist() == targets[0].tolist()


def test_evaluation_batches_are_the_letterboxed_images_in_order(samples: list[Sample]) -> None:
    batches = list(evaluation_batches(samples, Fit((64, 96)), 3))
    assert [len(batch_samples) for _, _, batch_samples in batches] == [3, 3, 1]
    assert [sample.image for _, _, rows in batches for sample in rows] == [one.image for one in samples]
    images, placements, _ = batches[1]
    for row, sample in enumerate(samples[3:6]):
        expected, placement = letterbox(cv2.imread(str(sample.image)), (64, 96))
        np.testing.assert_array_equal(images[row], expected[..., ::-1])
        assert placements[row] == placement


def test_evaluation_can_stretch(samples: list[Sample]) -> None:
    _, placements, _ = next(iter(evaluation_batches(samples, Fit((64, 96), "stretch"), 3)))
    # The first image is 40 high and 64 wide.
    assert (placements[0].scale_x, placements[0].scale_y) == (96 / 64, 64 / 40)


def test_evaluation_names_an_unreadable_image(samples: list[Sample]) -> None:
    samples[2].image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2\.png"):
        list(evaluation_batches(samples, Fit((64, 64)), 3))
    assert_no_threads()


def test_a_process_that_dies_is_said_with_the_way_on(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, draw = os.getpid(), loader_module.compose

    def dying(*arguments: Any) -> Any:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(*arguments)

    monkeypatch.setattr(loader_module, "compose", dying)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    of_processes = loader(samples, processes=1)
    with pytest.raises(TrainingError, match=r"a process that makes batches has died .*--resume"):
        list(of_processes.epoch(0))
    of_processes.close()
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
