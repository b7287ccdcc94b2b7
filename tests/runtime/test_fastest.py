"""The choice of a runtime and a number of threads, on drawn machines whose clock and speed are formulas."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seyolo.errors import BackendError
from seyolo.letterbox import Mode
from seyolo.runtime import fastest
from seyolo.runtime.fastest import Figure, Figures, Use, open_fastest
from seyolo.runtime.protocol import Backend, Runtime

ORT, OV = "onnxruntime", "openvino"
ROWS = np.array([[[100.0, 50, 20, 10, 0.9, 0.5]]], np.float32)


class FakeBackend:
    """Takes a number of milliseconds of its machine's clock, and gives `ROWS` times `1 + error`."""

    input_size = (64, 64)
    names = ("hand",)
    letterbox_mode: Mode = "letterbox"

    def __init__(self, machine: Machine, way: tuple[str, int | None], ms: float) -> None:
        self.machine, self.name, self.way, self.ms = machine, way[0], way, ms

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.machine.now_ns += int(self.ms * 1e6 * self.machine.slowness)
        self.machine.num_runs += 1
        return np.repeat(ROWS * (1 + self.machine.errors.get(self.name, 0)), len(batch), axis=0)


class Machine:
    """Milliseconds of a run by runtime and threads; an exception in their place is raised at opening."""

    def __init__(self, ms: Mapping[tuple[str, int | None], float | Exception], **errors: float) -> None:
        self.ms, self.errors = ms, errors
        self.open_s = {ORT: 0.1, OV: 0.5, "torch": 2.0, "litert": 0.1, "mnn": 0.1}
        self.now_ns, self.num_runs, self.slowness = 1_000, 0, 1.0
        self.opened: list[tuple[str, int | None]] = []
        self.alive: weakref.WeakSet[FakeBackend] = weakref.WeakSet()
        self.most_alive = 0
        self.said: list[str] = []
        self.files: list[str] = []

    def clock(self) -> int:
        return self.now_ns

    def open(self, file: Path, runtime: Runtime, threads: int | None) -> Backend:
        self.opened.append((runtime, threads))
        self.files.append(file.name)
        ms = self.ms[runtime, threads]
        if isinstance(ms, Exception):
            raise ms
        self.now_ns += int(self.open_s[runtime] * 1e9)
        backend = FakeBackend(self, (runtime, threads), ms)
        self.alive.add(backend)
        self.most_alive = max(self.most_alive, len(self.alive))
        return backend

    def choose(self, use: Use) -> tuple[str, int | None]:
        self.opened.clear()
        self.said.clear()
        backend, file = open_fastest(use, self.open, self.said.append, clock=self.clock)
        assert isinstance(backend, FakeBackend)
        self.chosen = file
        return backend.way


@pytest.fixture(autouse=True)
def two_cores_with_openvino(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fastest, "usable_cores", lambda: 2)
    monkeypatch.setattr(fastest, "find_spec", lambda name: name)
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"a network")
    return path


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.json"))


def test_the_fastest_is_chosen_said_and_remembered(model: Path, tmp_path: Path) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 4.0, (OV, 1): 6.0})
    assert machine.choose(Use(model)) == (OV, 2)
    (file,) = kept(tmp_path)
    others = "onnxruntime with 2 threads 8 ms, openvino with 1 thread 6 ms"
    figures = f"openvino with 2 threads 4 ms an image (others: {others})"
    assert machine.said == [f"m.onnx: {figures}; measured now, kept in {file}"]
    assert machine.opened == [(ORT, 2), (OV, 2), (OV, 1)]
    runs = machine.num_runs
    assert machine.choose(Use(model)) == (OV, 2)
    assert (machine.opened, machine.num_runs) == ([(OV, 2)], runs)  # nothing was measured again
    assert machine.said == [f"m.onnx: {figures}; measured before, {file}"]


@pytest.mark.parametrize(
    ("ms", "best"),
    [
        ({(ORT, 2): 8.0, (OV, 2): 7.8, (ORT, 1): 12.0}, (ORT, 2)),  # not clearly faster: the usual one
        ({(ORT, 2): 8.0, (OV, 2): 7.5, (OV, 1): 12.0}, (OV, 2)),
        ({(ORT, 2): 8.0, (OV, 2): 9.0, (ORT, 1): 7.0}, (ORT, 1)),  # two threads slower than one
        ({(ORT, 2): 8.0, (OV, 2): 9.0, (ORT, 1): 8.3}, (ORT, 1)),  # as fast: one leaves the other core free
        ({(ORT, 2): 8.0, (OV, 2): 9.0, (ORT, 1): 8.5}, (ORT, 2)),
        ({(ORT, 2): 8.0, (OV, 2): 4.0, (OV, 1): 3.0}, (OV, 1)),
        ({(ORT, 2): 8.0, (OV, 2): 100.0, (ORT, 1): 100.0}, (ORT, 2)),
        ({(ORT, 2): 800.0, (OV, 2): 300.0, (OV, 1): 500.0}, (OV, 2)),
        ({(ORT, 2): 0.01, (OV, 2): 0.5, (ORT, 1): 0.009}, (ORT, 1)),
        ({(ORT, 2): 8.0, (OV, 2): BackendError("no such operator"), (ORT, 1): 9.0}, (ORT, 2)),
        ({(ORT, 2): 8.0, (OV, 2): ImportError("libtbb.so.12"), (ORT, 1): 9.0}, (ORT, 2)),
    ],
)
def test_who_wins(model: Path, ms: dict[tuple[str, int | None], Any], best: tuple[str, int]) -> None:
    machine = Machine(ms)
    assert machine.choose(Use(model)) == best
    assert machine.choose(Use(model)) == best  # also when it is remembered
    assert machine.most_alive <= 2


@pytest.mark.parametrize(("error", "is_taken"), [(0.0, True), (2e-5, True), (2e-4, False), (np.inf, False)])
def test_another_output_is_never_chosen(model: Path, error: float, is_taken: bool) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 2.0, (OV, 1): 3.0, (ORT, 1): 9.0}, openvino=error)
    assert machine.choose(Use(model)) == ((OV, 2) if is_taken else (ORT, 2))
    assert ("openvino gives other boxes" in machine.said[0]) is not is_taken
    assert machine.choose(Use(model)) == ((OV, 2) if is_taken else (ORT, 2))
    assert ("openvino gives other boxes" in machine.said[0]) is not is_taken


def test_threads_are_halved_while_that_wins(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "usable_cores", lambda: 12)
    ms: dict[tuple[str, int | None], float | Exception] = {
        (ORT, 12): 9.0, (OV, 12): 20.0, (ORT, 6): 7.0, (ORT, 3): 6.0, (ORT, 1): 6.5,
    }  # fmt: skip
    machine = Machine(ms)
    assert machine.choose(Use(model)) == (ORT, 3)
    assert machine.opened == [(ORT, 12), (OV, 12), (ORT, 6), (ORT, 3), (ORT, 1)]


def test_a_machine_that_slows_down_slows_both(model: Path) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 6.0, (OV, 1): 9.0})
    opened = machine.open

    def slower(file: Path, runtime: Runtime, threads: int | None) -> Backend:
        machine.slowness *= 3  # each opening finds three times as much other work
        return opened(file, runtime, threads)

    machine.open = slower  # type: ignore[method-assign]
    machine.choose(Use(model))
    best = fastest.from_json(json.loads(next(iter(kept(model.parent))).read_text()), Figures)
    assert [figure.ms / best.all[0].ms for figure in best.all] == pytest.approx([1, 0.75, 1.125])


def test_short_work_is_not_worth_a_measurement(model: Path, tmp_path: Path) -> None:
    machine = Machine({(ORT, None): 8.0, (ORT, 2): 8.0, (OV, 2): 2.0, (OV, 1): 3.0})
    for number in (0, 1, 2, 49):
        assert machine.choose(Use(model, num_images=number)) == (ORT, None)
        assert machine.num_runs == 0  # not even a look at the clock
    assert machine.choose(Use(model, num_images=249)) == (ORT, 2)  # 2.0 s
    assert machine.opened == [(ORT, 2)]
    assert (kept(tmp_path), machine.said) == ([], [])
    assert machine.choose(Use(model, num_images=250)) == (OV, 2)
    assert machine.choose(Use(model, num_images=1)) == (ORT, None)  # known, but opening takes longer


def test_what_is_known_counts_with_the_time_to_open(model: Path) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 4.0, (OV, 1): 9.0})
    machine.choose(Use(model))
    # 0.1 s + n 8 ms = 0.5 s + n 4 ms at n = 100.
    assert machine.choose(Use(model, num_images=99)) == (ORT, 2)
    assert machine.choose(Use(model, num_images=101)) == (OV, 2)


def test_a_measurement_takes_about_a_second(model: Path) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 7.0, (OV, 1): 9.0})
    machine.open_s = dict.fromkeys(machine.open_s, 0.0)
    machine.choose(Use(model))
    assert machine.now_ns < 1.2e9
    slow = Machine({(ORT, 2): 800.0, (OV, 2): 700.0, (OV, 1): 9_000.0})
    slow.choose(Use(model, batch=2))
    assert slow.num_runs == 3 * 2 + (1 + 3) * 2 + 1 * 2  # each alone, a duel of four turns, a hopeless one


def test_what_is_asked_for_is_not_measured(model: Path, tmp_path: Path) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 5.0, (OV, 1): 4.0, (ORT, 1): 9.0, (ORT, 7): 3.0, (OV, 7): 1.0})
    assert machine.choose(Use(model, runtime="openvino")) == (OV, 1)
    assert machine.opened == [(OV, 2), (OV, 1)]
    assert machine.choose(Use(model, threads=7)) == (OV, 7)
    assert machine.opened == [(ORT, 7), (OV, 7)]
    assert machine.choose(Use(model, runtime="onnxruntime", threads=7)) == (ORT, 7)
    assert (machine.opened, machine.said) == ([(ORT, 7)], [])
    assert len(kept(tmp_path)) == 2


def test_the_base_install_measures_threads_alone(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "find_spec", lambda name: None)
    machine = Machine({(ORT, 2): 8.0, (ORT, 1): 7.0})
    assert machine.choose(Use(model)) == (ORT, 1)
    assert (
        "onnxruntime with 1 thread 7 ms an image (others: onnxruntime with 2 threads 8 ms)" in machine.said[0]
    )
    monkeypatch.setattr(fastest, "usable_cores", lambda: 1)
    single = Machine({(ORT, 1): 7.0})
    assert single.choose(Use(model)) == (ORT, 1)
    assert single.said == []  # there was nothing to choose


DAMAGE: list[Any] = [
    "", "{", "null", "[]", "{}", "\0\0", "[" * 500,
    {"best": {"runtime": "openvino", "threads": 2, "open_s": 1.0, "ms": 4.0}},
    {"all": []}, {"key": {}}, {"key": {"model": "another"}}, {"differing": 3},
    *({"best": {"runtime": "openvino", "threads": 2, "open_s": 0.5, "ms": 4.0} | wrong} for wrong in (
        {"ms": 0}, {"ms": -1}, {"ms": None}, {"ms": "4"}, {"threads": 0}, {"threads": 1.5}, {"open_s": 0},
        {"runtime": "opencv"}, {"runtime": "evil"}, {"threads": 64}, {"ms": 3.9},
    )),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_or_foreign_file_is_measured_anew(model: Path, tmp_path: Path, damage: Any) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 4.0, (OV, 1): 6.0})
    machine.choose(Use(model))
    (file,) = kept(tmp_path)
    sound = file.read_text()
    file.write_text(json.dumps(json.loads(sound) | damage) if isinstance(damage, dict) else damage)
    assert file.read_text() != sound
    assert machine.choose(Use(model)) == (OV, 2)
    assert "measured now" in machine.said[0]
    assert file.read_text() != (json.dumps(damage) if isinstance(damage, dict) else damage)
    assert machine.choose(Use(model)) == (OV, 2)
    assert "measured before" in machine.said[0]


def test_figures_of_something_else_are_not_taken(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 4.0, (OV, 1): 6.0, (ORT, 1): 9.0})
    weights = tmp_path / "net.weights"
    weights.write_bytes(b"1")
    (tmp_path / "net.cfg").write_text("[net]\n")
    (tmp_path / "m.xml").write_text("<net/>")
    (tmp_path / "m.bin").write_bytes(b"1")

    def is_new(use: Use) -> bool:
        machine.choose(use)
        return "measured now" in machine.said[0]

    cfg, xml = Use(tmp_path / "net.cfg"), Use(tmp_path / "m.xml")
    assert all(is_new(use) for use in (Use(model), cfg, xml, Use(model, batch=2), Use(model, parallel=2)))
    assert not any(is_new(use) for use in (Use(model), cfg, xml, Use(model, batch=2), Use(model, parallel=2)))
    copied = tmp_path / "other" / "copy.onnx"
    copied.parent.mkdir()
    copied.write_bytes(model.read_bytes())
    assert not is_new(Use(copied))  # the content counts, not the name
    weights.write_bytes(b"2")
    (tmp_path / "m.bin").write_bytes(b"2")
    assert is_new(cfg)
    assert is_new(xml)
    model.write_bytes(b"another network")
    assert is_new(Use(model))
    for name, value in (("installed_version", lambda _: "9.9"), ("processor_name", lambda: "Another CPU")):
        monkeypatch.setattr(fastest, name, value)
        assert is_new(Use(model))


@pytest.mark.parametrize("cache", ["a file", "no home"])
def test_a_cache_that_cannot_be_written_is_no_failure(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    if cache == "no home":
        monkeypatch.delenv("SEYOLO_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", homeless)
    machine = Machine({(ORT, 2): 8.0, (OV, 2): 4.0, (OV, 1): 6.0})
    for _ in range(2):
        assert machine.choose(Use(model)) == (OV, 2)
        assert machine.said[0].endswith("measured now, not kept")


@pytest.fixture
def files_beside(model: Path) -> Path:
    for name in ("m.tflite", "m.mnn", "m.ncnn.param", "m.json", "other.xml"):
        model.with_name(name).write_bytes(name.encode())
    return model


def beside(**errors: float) -> Machine:
    speeds = {(ORT, 2): 8.0, (OV, 2): 7.0, ("litert", 2): 3.0, ("mnn", 2): 9.0}
    return Machine({**speeds, ("ncnn", 2): BackendError("damaged"), ("litert", 1): 5.0}, **errors)


def test_files_of_its_name_compete_where_that_is_allowed(files_beside: Path) -> None:
    machine = beside()
    with pytest.raises(KeyError):  # one thread of OpenVINO: the other files were not looked at
        machine.choose(Use(files_beside))
    use = Use(files_beside, takes_beside=True)
    for seen in ("measured now", "measured before"):
        assert machine.choose(use) == ("litert", 2)
        assert machine.chosen == files_beside.with_suffix(".tflite")
        assert seen in machine.said[0]
    assert machine.said[0].startswith("m.onnx: litert on the .tflite beside it with 2 threads 3 ms an image")
    assert set(machine.files) == {"m.onnx", "m.tflite", "m.mnn"} | {"m.ncnn.param"}
    files_beside.with_suffix(".tflite").write_bytes(b"another network")
    machine.choose(use)
    assert "measured now" in machine.said[0]


def test_a_file_beside_that_is_another_network_is_left_out(files_beside: Path) -> None:
    machine = beside(litert=1e-3)
    machine.ms = {**machine.ms, (OV, 1): 8.0}
    assert machine.choose(Use(files_beside, takes_beside=True)) == (OV, 2)
    assert machine.chosen == files_beside
    assert "litert on the .tflite beside it gives other boxes" in machine.said[0]


def test_a_file_beside_with_other_classes_is_left_out(files_beside: Path) -> None:
    machine = beside()
    machine.ms = {**machine.ms, (OV, 1): 8.0}
    opened = machine.open

    def renamed(file: Path, runtime: Runtime, threads: int | None) -> Backend:
        backend = opened(file, runtime, threads)
        if runtime == "litert":
            backend.names = ("foot",)  # type: ignore[misc]
        return backend

    machine.open = renamed  # type: ignore[method-assign]
    assert machine.choose(Use(files_beside, takes_beside=True)) == (OV, 2)


def test_the_files_of_an_ncnn_network(tmp_path: Path) -> None:
    for name in ("n.ncnn.param", "n.ncnn.bin", "n.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    use = Use(tmp_path / "n.ncnn.param", takes_beside=True)
    assert use.ways() == (("ncnn", None), (ORT, ".onnx"), (OV, ".onnx"))
    assert use.file(".onnx") == tmp_path / "n.onnx"
    assert len(use.key()["files"]) == 3


def test_a_checkpoint_is_usually_run_by_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the usual runtime of a checkpoint where it is installed")
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"a network")
    machine = Machine({("torch", None): 30.0, (ORT, 2): 8.0, (OV, 2): 6.0, (OV, 1): 9.0})
    assert machine.choose(Use(path)) == (OV, 2)
    assert machine.opened == [("torch", None), (ORT, 2), (OV, 2), (OV, 1)]
    assert "torch 30 ms" in machine.said[0]


def test_texts_of_figures() -> None:
    usual, best = Figure(ORT, None, 0.1, 12.3456), Figure(OV, 1, 0.5, 0.01234)
    figures = Figures({}, best, (usual, best), ("torch", "opencv"))
    said = "openvino with 1 thread 0.0123 ms an image (others: onnxruntime 12.3 ms"
    assert figures.text(best) == f"{said}, torch gives other boxes, opencv gives other boxes)"
    slow_to_open = Figures({}, best, (usual, best)).text(usual)
    assert slow_to_open.endswith(
        "(others: openvino with 1 thread 0.0123 ms; openvino takes 0.4 s more to open)"
    )
    assert Figures({}, usual, (usual,)).text(usual) == "onnxruntime 12.3 ms an image (others: none)"
