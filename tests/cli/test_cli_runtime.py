"""The runtime of `detect` and `val`: asked for, measured, recorded, and one for all workers of a run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.running import Run, assert_refused
from seyolo.installing import pip_install
from seyolo.processor import has_bf16
from seyolo.runtime import fastest


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def openvino() -> None:
    pytest.importorskip("openvino", reason="needs seyolo[openvino]")


@pytest.fixture
def album(tmp_path: Path, image: Path) -> Path:
    """Six images."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        shutil.copy(image, tmp_path / f"in/{number}.jpg")
    return tmp_path / "in"


@pytest.fixture
def always_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "LEAST_IMAGES", 2)
    monkeypatch.setattr(fastest, "LEAST_S", 0.0)
    monkeypatch.setattr(fastest, "usable_cores", lambda: 2)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.usefixtures("openvino")
def test_a_runtime_is_asked_for_and_recorded(run: Run, onnx: Path, album: Path, hands: Path) -> None:
    for line in (["detect", onnx, album, "--runtime", "openvino"], ["detect", f"{onnx}@openvino", album]):
        value = json.loads(run(*line, "--json", "-").out)
        assert (value["runtime"], value["precision"]) == ("openvino", "f32")
    outcome = run("val", onnx, "--data", hands, "--runtime", "openvino", "--threads", 1, "--json", "-")
    assert json.loads(outcome.out)["runtime"] == "openvino", outcome.err
    assert json.loads(run("val", onnx, "--data", hands, "--json", "-").out)["runtime"] == "onnxruntime"


@pytest.mark.usefixtures("openvino")
def test_bf16_is_recorded_with_its_error(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    if not has_bf16():
        pytest.skip("this processor has no bf16")
    outcome = run("detect", onnx, album, "--runtime", "openvino:bf16", "--out", "found", "--save", "json")
    assert outcome.code == 0, outcome.err
    value = read(tmp_path / "found/detections.json")
    assert (value["runtime"], value["precision"]) == ("openvino", "bf16")
    assert "in bf16, boxes move by up to" in outcome.err
    assert "from float32, on 4 images" in outcome.err
    assert read(tmp_path / "found/config.json")["runtime"] == "openvino:bf16"


@pytest.mark.usefixtures("always_measured")
def test_the_choice_is_said_once_and_remembered(run: Run, onnx: Path, album: Path, hands: Path) -> None:
    first, second = (run("detect", onnx, album, "--json", "-") for _ in range(2))
    for outcome, when in ((first, "measured now, kept in "), (second, "measured before, ")):
        (line,) = (line for line in outcome.err.splitlines() if " ms an image" in line)
        assert when in line
        value = json.loads(outcome.out)
        assert line.startswith(f"tiny.onnx: {value['runtime']} with ")
    assert json.loads(first.out)["pictures"] == json.loads(second.out)["pictures"]
    assert " ms an image" not in run("detect", onnx, album / "0.jpg", "--json", "-").err
    outcome = run("val", onnx, "--data", hands, "--json", "-")
    assert "measured before" in outcome.err


def test_bad_runtimes_are_refused_in_a_line(
    run: Run, onnx: Path, album: Path, hands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for verb in (["detect", onnx, album], ["val", onnx, "--data", hands]):
        assert_refused(
            run(*verb, "--runtime", "vino"), "--runtime vino: 'vino' is none of onnxruntime, openvino"
        )
        assert_refused(run(*verb, "--runtime", "onnxruntime:bf16"), "onnxruntime computes in float32", "use ")
        assert_refused(run(*verb, "--runtime", "opencv"), "opencv is for .cfg (OpenCV itself reads")
        assert_refused(run(*verb, "--threads", 0), "threads must be at least 1, got 0")
        assert_refused(run(*verb, "--threads", 123456), "threads must be at most 1,024, got 123,456")
    zoo = ["yolov3-tiny@0.125", "--weights", onnx.with_suffix(".none")]
    assert_refused(run("detect", *zoo, album, "--threads", 0), "threads must be at least 1, got 0")
    assert_refused(run("val", *zoo, "--data", hands, "--threads", -1), "threads must be at least 1, got -1")
    assert_refused(run("detect", f"{onnx}@openvino", album, "--runtime", "onnxruntime"), "name two runtimes")
    assert_refused(
        run("val", "yolov3-tiny@0.125", "--data", hands, "--runtime", "openvino"), "openvino runs files"
    )
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "seyolo.runtime.openvino_backend", raising=False)
    for number in (1, 2):
        monkeypatch.setattr(fastest, "LEAST_IMAGES", number)
        outcome = run("detect", onnx, album, "--runtime", "openvino", "--out", "x")
        assert_refused(outcome, "needs OpenVINO, which is not installed", pip_install("seyolo[openvino]"))
    assert not Path("x").exists()


@pytest.mark.usefixtures("openvino")
def test_a_resumed_run_keeps_its_runtime(
    run: Run, onnx: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["detect", onnx, album, "--out", "found", "--save", "json", "--strict"]
    (album / "3.jpg").write_bytes(b"damaged")
    assert run(*line, "--runtime", "openvino").code == 2
    shutil.copy(album / "0.jpg", album / "3.jpg")
    monkeypatch.setattr(fastest, "LEAST_IMAGES", 1000)  # the usual one would run
    outcome = run("detect", "--resume", "found")
    assert outcome.code == 0, outcome.err
    assert read(tmp_path / "found/detections.json")["runtime"] == "openvino"
    assert len(read(tmp_path / "found/detections.json")["pictures"]) == 6


@pytest.mark.usefixtures("always_measured")
def test_a_run_of_an_older_version_goes_on_as_it_began(
    run: Run, onnx: Path, album: Path, tmp_path: Path
) -> None:
    (album / "3.jpg").write_bytes(b"damaged")
    assert run("detect", onnx, album, "--out", "found", "--save", "json", "--strict").code == 2
    shutil.copy(album / "0.jpg", album / "3.jpg")
    config = read(tmp_path / "found/config.json")
    assert config["runtime"] in ("onnxruntime", "openvino")
    del config["runtime"]
    (tmp_path / "found/config.json").write_text(json.dumps(config))
    outcome = run("detect", "--resume", "found")
    assert " ms an image" not in outcome.err
    assert read(tmp_path / "found/detections.json")["runtime"] == "onnxruntime"


@pytest.mark.usefixtures("openvino")
def test_workers_on_one_folder_run_one_runtime(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    line = ["detect", onnx, album, "--out", "shared", "--save", "json"]
    assert run(*line, "--shard", "1/3", "--runtime", "openvino", "--threads", 1).code == 0
    assert run(*line, "--shard", "2/3").code == 0  # alone it would take ONNX Runtime
    refused = run(*line, "--shard", "3/3", "--runtime", "onnxruntime")
    assert_refused(refused, "--runtime onnxruntime: the other workers run openvino; leave --runtime out")
    assert run(*line, "--shard", "3/3", "--threads", 2).code == 0
    runtimes = {read(path)["runtime"] for path in tmp_path.glob("shared/detections.*-of-3.json")}
    assert runtimes == {"openvino"}
    # Another job in the folder is none of theirs.
    assert run(*line, "--confidence", 0.5, "--shard", "1/3").code == 0
    assert read(tmp_path / "shared/detections.1-of-3.json")["runtime"] == "onnxruntime"


def test_a_damaged_config_of_other_workers_counts_as_none(
    run: Run, onnx: Path, album: Path, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    for text in ("{", "[]", '{"num_shards": 2, "runtime": 3}'):
        (tmp_path / "shared/config.json").write_text(text)
        outcome = run("detect", onnx, album, "--out", "shared", "--save", "json", "--shard", "1/2")
        assert outcome.code == 0, outcome.err


@pytest.mark.usefixtures("openvino")
def test_serve_takes_and_says_a_runtime(run: Run, onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette", reason="needs seyolo[web]")
    from seyolo.web import app  # noqa: PLC0415 (needs the extra)

    served: list[Any] = []
    real = app.make_app
    monkeypatch.setattr(app, "make_app", lambda models, *rest: served.extend(models) or real(models, *rest))
    monkeypatch.setattr("seyolo.web.server.run", lambda *_: None)
    asked = run("serve", onnx, "--port", 0, "--runtime", "openvino", "--workers", 2)
    assert (asked.code, " ms an image" in asked.err) == (0, False)
    measured = run("serve", onnx, "--port", 0)
    address, choice = measured.err.splitlines()
    assert address.endswith("(Ctrl-C stops)")
    assert "with 1 thread" in choice
    assert "measured now" in choice
    assert served[0].describe()["runtime"] == "openvino"
    assert choice.startswith(f"tiny.onnx: {served[1].describe()['runtime']} with 1 thread ")
    assert_refused(run("serve", onnx, "--port", 0, "--runtime", "vino"), "'vino' is none of")
