"""Settings and fixtures of all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from seyolo.cli import main
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.runtime import benchmark

# A shell makes what it starts in the background deaf to Ctrl-C, and with it what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers share the cores; this reaches the processes that tests start, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST_FIRST = (
    "docs/test_docs_commands.py",
    "regression/test_slim_run.py",
    "parity/test_opencv_darknet.py",
    "kills/test_kills_in_controls.py",
    "kills/test_taken_folders.py",
    "kills/test_damaged_runs.py",
    "kills/test_kills_in_slimming.py",
    "kills/test_kills_in_training.py",
    "training/test_distributed.py",
    "cli/test_cli_main.py",
    "parity/test_slim_families.py",
    "verbs/test_controls.py",
    "test_typing.py",
    "docs/test_docstring_examples.py",
    "web/test_page.py",
    "verbs/test_slim.py",
    "cli/test_cli_training.py",
    "cli/test_cli_detect.py",
    "test_examples.py",
)
"""Files in the order in which workers take them, others behind: a long one taken last keeps one core busy."""

# How long an example takes says more about the machine and its other work than about the code.
settings.register_profile("seyolo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seyolo")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests leave nothing in the user's cache folder; this reaches the processes that they start, too."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SEYOLO_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Two runtimes with a pool each on a busy machine wait for one another far longer than they compute.

    PyTorch is not imported for this: by now the tests that use it have.
    """
    torch = sys.modules.get("torch")
    before = cv2.getNumThreads(), torch.get_num_threads() if torch else 0
    cv2.setNumThreads(1)
    if torch:
        torch.set_num_threads(1)
    yield
    cv2.setNumThreads(before[0])
    if torch:
        torch.set_num_threads(before[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; inside a file the order stays."""
    order = {name: position for position, name in enumerate(LONGEST_FIRST)}
    root = Path(__file__).parent
    items.sort(key=lambda item: order.get(item.path.relative_to(root).as_posix(), len(order)))


def _seed() -> None:
    """Gives PyTorch's own generator the same state, when PyTorch is imported."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Random weights of a fixture hang neither on the tests before it nor on the worker that makes it."""
    _seed()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Random weights of a test hang neither on the tests before it nor on the worker that runs it."""
    _seed()
    return (yield)


@pytest.fixture(scope="session", autouse=True)
def no_rest() -> Iterator[None]:
    """Benchmarks rest before every turn for exact figures, which no test reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "REST_S", 0.0)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and weights beside the checkout; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the shared data folder ({folder} is absent)")
    return folder


@pytest.fixture(scope="session")
def shared_cases(shared_data: Path) -> Path:
    """The folder of small inputs with known right values beside the checkout; skips where it is absent."""
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"needs the shared cases ({folder} is absent)")
    return folder


@pytest.fixture(scope="session")
def tiny_hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `data.yaml` of a few small synthetic images in the splits train, val and test."""
    folder = tmp_path_factory.mktemp("hands") / "data"
    return write_dataset(folder, num_train=12, num_val=6, num_test=4, size_px=(64, 96), seed=0)


@pytest.fixture(scope="session")
def drawn_hand(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """An image of 320x320 px, the input size of `hand`."""
    folder = tmp_path_factory.mktemp("hands") / "hands"
    main(f"data synth {folder} --train 1 --val 1 --test 2 --size 320".split())
    return np.asarray(cv2.imread(str(folder / "images/test/000001.jpg")))
