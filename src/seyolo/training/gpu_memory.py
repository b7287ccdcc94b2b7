"""Error message for full GPU memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seyolo.errors import TrainingError
from seyolo.training.config import TrainConfig
from seyolo.training.distributed import Team


@contextmanager
def explained_memory_errors(config: TrainConfig, team: Team) -> Iterator[None]:
    """Raises a TrainingError with advice when a GPU's memory is full."""
    try:
        yield
    except RuntimeError as error:
        if not _is_memory_error(error):
            raise
        smaller = config.batch // 2 // team.size * team.size
        advice = f"use --batch {smaller} or a smaller --size" if smaller else "use a smaller --size"
        raise TrainingError(
            f"the GPU's memory does not hold a step of {config.batch // team.size} images of "
            f"{config.size} px; {advice}. Finished epochs are kept"
        ) from None


def _is_memory_error(error: BaseException | None) -> bool:
    """Recognises PyTorch's memory error, the text of NVIDIA's libraries, and both as context."""
    if error is None:
        return False
    is_full = isinstance(error, torch.cuda.OutOfMemoryError) or "STATUS_ALLOC_FAILED" in str(error)
    return is_full or _is_memory_error(error.__context__)
