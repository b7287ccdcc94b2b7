"""`seyolo data synth`: drawn hands with exact boxes."""

from __future__ import annotations

from pathlib import Path

from seyolo.commands.output import Json, check_target, show
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.progress import console_progress


def synth(
    out: Path,
    /,
    *,
    train: int = 400,
    val: int = 80,
    test: int = 120,
    size: int = 320,
    min_size: int | None = None,
    seed: int = 0,
    json: Json = None,
) -> None:
    """Draw a data set of synthetic hands.

    Args:
        out: a folder that does not exist yet.
        train: images to train on.
        val: images to choose checkpoints on.
        test: images to judge by.
        size: longest side of an image in pixels.
        min_size: shortest side; by default images are square and of one size.
        seed: the same seed draws the same images.
        json: write what was drawn here as JSON, too; - is stdout.
    """
    check_target(json)
    with console_progress().task("drawing", train + val + test) as advance:
        path = write_dataset(
            out,
            num_train=train,
            num_val=val,
            num_test=test,
            size_px=(size if min_size is None else min_size, size),
            seed=seed,
            progress=lambda done, total: advance(1, ""),
        )
    value = {"data": str(path), "train": train, "val": val, "test": test, "seed": seed}
    show(value, f"drew {train + val + test} images: {path}", json)
