"""`export` in other precisions, and to OpenVINO."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seyolo
from helpers.running import MODEL, Run, assert_refused
from helpers.spot_detector import spot_detector, write_spots
from seyolo.commands.export import fastest_line
from seyolo.errors import ExportError
from seyolo.exporting import litert_graph
from seyolo.exporting.formats import FORMATS
from seyolo.installing import pip_install
from seyolo.verbs import export as export_verb
from seyolo.verbs.export_rows import ExportedRow


@pytest.fixture(scope="session")
def spots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of ten images to train on and four to validate on."""
    return write_spots(tmp_path_factory.mktemp("data") / "spots", train=10, val=4)


@pytest.fixture(scope="session")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that finds them."""
    path = tmp_path_factory.mktemp("model") / "finder.safetensors"
    model = spot_detector()
    model.names = ("spot",)
    seyolo.save(model, path)
    return path


def test_int8_says_what_it_costs(run: Run, finder: Path, spots: Path, tmp_path: Path) -> None:
    outcome = run("export", finder, "a.onnx", "--int8", "--data", spots, "--json", "a.json")
    assert outcome.code == 0, outcome.err
    assert "wrote a.onnx" in outcome.out
    value = json.loads((tmp_path / "a.json").read_text())
    assert value["files"] == ["a.onnx"]
    scores = {precision: metrics["ap"] for precision, metrics in value["metrics"].items()}
    assert list(scores) == ["float32", "int8"]
    assert scores["float32"] > 0.9
    assert scores["int8"] == pytest.approx(scores["float32"], abs=0.02)
    assert f"{scores['int8']:.3f}" in outcome.out
    assert [row["precision"] for row in value["rows"]] == ["int8"]
    assert json.loads(run("info", "a.onnx", "--json", "-").out)["int8"] is True
    assert run("export", finder, "b.onnx", "--half").code == 0
    assert json.loads(run("info", "b.onnx", "--json", "-").out)["int8"] is False
    measured = json.loads(run("val", "a.onnx", "--data", spots, "--split", "val", "--json", "-").out)
    assert measured["metrics"]["val"]["ap"] == scores["int8"]


def test_int8_takes_as_many_images_as_wanted(run: Run, finder: Path, tmp_path: Path) -> None:
    data = write_spots(tmp_path / "data", train=12)
    outcome = run("export", finder, "a.onnx", "--int8", "--data", data, "--pictures", 9, "--json", "-")
    assert outcome.code == 0, outcome.err
    assert "metrics" not in json.loads(outcome.out)
    assert '"pictures": 9' in (tmp_path / "a.onnx").read_bytes().decode("latin-1")


def test_int8_is_measured_on_tiles(run: Run, finder: Path, spots: Path, tmp_path: Path) -> None:
    line = ["export", finder, "--int8", "--data", spots, "--json", "-"]
    whole = run(*line, "--out", "whole.onnx")
    cut = run(*line, "--out", "cut.onnx", "--tile", "--tile-size", 48)
    assert (whole.code, cut.code) == (0, 0), cut.err
    assert (tmp_path / "whole.onnx").read_bytes() != (tmp_path / "cut.onnx").read_bytes()
    aps = [json.loads(outcome.out)["metrics"]["int8"]["ap"] for outcome in (whole, cut)]
    assert aps[0] != aps[1]  # val is cut, too


def test_half_and_openvino_run(run: Run, finder: Path, spots: Path) -> None:
    pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    image = spots.parent / "images/val/0.png"
    lines = [["a.onnx"], ["h.onnx", "--half"], ["a.xml"], ["h.xml", "--half"]]
    lines.append(["i.xml", "--int8", "--data", str(spots)])
    found = []
    for line in lines:
        outcome = run("export", finder, *line)
        assert outcome.code == 0, outcome.err
        value = json.loads(run("detect", line[0], image, "--json", "-").out)
        assert value["runtime"] == ("openvino" if line[0].endswith(".xml") else "onnxruntime")
        found.append([item["box"] for item in value["pictures"][0]["detections"]])
    assert found[0]
    for boxes in found[1:]:
        np.testing.assert_allclose(boxes, found[0], atol=0.01)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a.onnx", "--int8"], "lies in no folder of a run; give images with --data DATA"),
        (["a.onnx", "--data", "DATA"], "--int8 --data DATA"),
        (["a.onnx", "--int8", "--data", "DATA", "--pictures", "7"], "8 at least"),
        (["a.onnx", "--int8", "--data", "DATA", "--pictures", "-3"], "8 at least"),
        (["a.onnx", "--pictures", "20"], "--pictures"),
        (["a.onnx", "--int8", "--half", "--data", "DATA"], "not both"),
        (["a.onnx", "--int8", "--data", "gone.yaml"], "gone.yaml"),
        (["a.cfg", "--int8", "--data", "DATA"], "Darknet has no int8"),
        (["a.cfg", "--half"], "export to .onnx or .xml or .ncnn.param or .tflite"),
        (["a.safetensors", "--half"], "a checkpoint has no 16-bit kernels"),
        (["a.xml", "--nms"], "non-maximum"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run: Run, finder: Path, spots: Path, *, tmp_path: Path, arguments: list[str], part: str
) -> None:
    line = [spots if argument == "DATA" else argument for argument in arguments]
    assert_refused(run("export", finder, *line), part)
    assert not list(tmp_path.iterdir())


def test_int8_of_a_run_takes_its_data(run: Run, finder: Path, spots: Path, tmp_path: Path) -> None:
    model = tmp_path / "run/slim/slim.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(finder.read_bytes())
    for name in ("command.json", "config.json"):  # of train and of slim
        (tmp_path / "run" / name).write_text(json.dumps({"data": str(spots)}))
        outcome = run("export", model, f"{name}.onnx", "--int8")
        assert outcome.code == 0, outcome.err
        (tmp_path / "run" / name).unlink()
    assert run("export", finder, "given.onnx", "--int8", "--data", spots).code == 0
    written = {path.read_bytes() for path in tmp_path.glob("*.onnx")}
    assert len(written) == 1
    (tmp_path / "run/config.json").write_text(json.dumps({"data": "gone/data.yaml"}))
    refused = run("export", model, "b.onnx", "--int8")
    assert_refused(refused, "gone/data.yaml, the data of the run, is gone; give images with --data DATA")


def test_too_little_data_is_refused(run: Run, finder: Path, tmp_path: Path) -> None:
    data = write_spots(tmp_path / "data", train=5, val=2)
    assert_refused(run("export", finder, "a.onnx", "--int8", "--data", data), "8 at least", "got 5")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_random_weights_have_nothing_to_measure(run: Run, spots: Path, tmp_path: Path) -> None:
    for out in ("a.onnx", "a.cfg"):
        outcome = run("export", MODEL, out, "--num-classes", 1, "--int8", "--data", spots)
        assert_refused(outcome, "no trained weights")
    assert not list(tmp_path.iterdir())


def test_openvino_that_is_missing_is_named(
    run: Run, finder: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("seyolo.exporting.openvino", "seyolo.runtime.openvino_backend"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert_refused(run("export", finder, "a.xml"), "a.xml needs OpenVINO", pip_install("seyolo[openvino]"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "b.xml").touch()
    assert_refused(run("detect", "b.xml", image), "b.xml needs OpenVINO", pip_install("seyolo[openvino]"))


FILES = ["x.onnx", "x.xml", "x.ncnn.param", "x.tflite", "x.mnn"]


def test_several_files_in_one_table(run: Run, finder: Path, spots: Path, tmp_path: Path) -> None:
    """Each is in int8 where its format has that; detect runs each."""
    for package in ("openvino", "ncnn", "pnnx", "ai_edge_litert", "MNN"):
        pytest.importorskip(package, reason="needs seyolo[openvino,ncnn-export,litert,mnn]")
    line = ["export", finder, *FILES, "--int8", "--data", spots, "--pictures", 8]
    outcome = run(*line, "--json", "x.json")
    assert outcome.code == 0, outcome.err
    value = json.loads((tmp_path / "x.json").read_text())
    rows = {row["file"]: row for row in value["rows"]}
    assert list(rows) == FILES
    assert {file for file, row in rows.items() if row["precision"] == "int8"} == {
        "x.onnx",
        "x.xml",
        "x.tflite",
    }
    for row in rows.values():
        assert row["file"] in outcome.out
        assert row["p50_ms"] > 0
        assert row["noise"] >= 0
        assert row["size_bytes"] >= (tmp_path / row["file"]).stat().st_size
        if row["precision"] == "int8":
            assert row["agreement"] >= 0.95
        else:
            assert (row["agreement"], row["error_px"] < 0.01, row["error_score"] < 1e-5) == (None, True, True)
    assert set(value["metrics"]) == {"float32", "int8"}
    header, *lines = [line.split() for line in outcome.out.splitlines() if line.startswith((" file", " x."))]
    (x,) = (row for row in rows.values() if row["file"] == "x.onnx")
    assert x["size_bytes"] > x["float_bytes"] > 0
    assert f"x.onnx: no smaller in int8 ({x['size_bytes'] / 1e6:.2f} MB, the weights" in outcome.out
    assert " ".join(header) == "file precision against the model MB ms on"
    assert [line[2:5] for line in lines if line[1] == "int8"] == [["100.0%", "equal", "boxes"]] * 3
    image = spots.parent / "images/val/0.png"
    found = [json.loads(run("detect", file, image, "--json", "-").out) for file in FILES]
    assert [each["runtime"] for each in found] == ["onnxruntime", "openvino", "ncnn", "litert", "mnn"]
    boxes = [[item["box"] for item in each["pictures"][0]["detections"]] for each in found]
    assert boxes[0]
    for each in boxes[1:]:
        np.testing.assert_allclose(each, boxes[0], atol=0.5)


@pytest.mark.parametrize(("noise", "equal"), [(0.04, False), (0.06, True)])
def test_a_file_is_the_fastest_where_the_noise_allows_to_say_so(noise: float, equal: bool) -> None:
    times = {"b.xml": 10.5, "a.onnx": 10.0, "c.mnn": 12.0}
    rows = [ExportedRow(Path(name), "f32", 1, p50_ms=ms, noise=noise) for name, ms in times.items()]
    said = fastest_line(rows)
    if equal:  # 10.5 ms are 5 % above 10 ms
        assert said == "about as fast here, noise ±6 %: measure longer with seyolo benchmark a.onnx b.xml"
    else:
        assert said == "the fastest here: seyolo detect a.onnx IMAGE_OR_FOLDER"


def test_a_file_that_is_faster_than_one_about_as_fast_is_named_too() -> None:
    measured = [("a.onnx", 10.0, 0.01), ("b.xml", 10.5, 0.01), ("c.mnn", 10.8, 0.2), ("d.tflite", 14.0, 0.01)]
    rows = [ExportedRow(Path(name), "f32", 1, p50_ms=ms, noise=noise) for name, ms, noise in measured]
    assert fastest_line(rows).endswith("seyolo benchmark a.onnx b.xml c.mnn")


def test_a_single_file_has_its_row(run: Run, finder: Path) -> None:
    outcome = run("export", finder, "a.cfg", "--json", "-")
    (row,) = json.loads(outcome.out)["rows"]
    assert (row["precision"], row["runtime"], row["agreement"]) == ("f32", "onnxruntime", None)
    assert row["error_px"] < 0.01
    one = run("export", finder, "a.onnx", "--nms", "--json", "-")
    (row,) = json.loads(one.out)["rows"]
    assert [row[name] for name in ("runtime", "error_px", "p50_ms", "noise")] == [None] * 4
    assert "the only one of OpenCV 4, gives wrong rows for it" in one.err
    any_number = run("export", finder, "b.onnx", "--nms", "--dynamic-batch").err
    assert ["read the net anew for each image" in err for err in (one.err, any_number)] == [False, True]


def test_a_format_that_refuses_leaves_the_others(
    run: Run, finder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> tuple[Path, ...]:
        raise ExportError("Darknet has no such layer")

    monkeypatch.setitem(FORMATS, ".cfg", replace(FORMATS[".cfg"], write=refuse))
    outcome = run("export", finder, "a.cfg", "a.onnx", "b.onnx", "--half")
    assert outcome.code == 2
    assert "wrote a.onnx and b.onnx" in outcome.out
    assert "a.cfg: Darknet has no such layer" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def must_not_run(*_: object) -> None:
    raise AssertionError("nothing is to be computed or written")


def test_networks_that_a_format_cannot_hold_are_refused_before_any_file_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path.parent / "cbam.safetensors"
    seyolo.save(seyolo.load("cbam-yolov3-tiny@0.125", num_classes=1), model)
    monkeypatch.setitem(FORMATS, ".onnx", replace(FORMATS[".onnx"], write=must_not_run))
    refused = " has no form in Darknet's files; export the network to ONNX; nothing was written"
    outcome = run("export", model, "a.onnx", "a.cfg")
    assert_refused(outcome, f"a.cfg: the attached CBAM gate at layer 21{refused}")
    monkeypatch.delitem(litert_graph.WRITERS, "LeakyRelu")
    outcome = run("export", model, "a.onnx", "a.tflite", "a.cfg")
    assert_refused(
        outcome, "a.tflite: layer0: seyolo has no LeakyRelu for LiteRT; export to .onnx", "a.cfg: "
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("files", [["a.onnx"], ["a.cfg", "a.onnx"]])
def test_too_few_images_for_int8_are_refused_before_anything_is_computed(
    run: Run, finder: Path, tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_verb, "evaluate", must_not_run)
    data = write_spots(tmp_path / "data", train=5, val=4)
    outcome = run("export", finder, *files, "--int8", "--data", data)
    assert_refused(outcome, "int8 needs images to measure on, 8 at least and better a hundred; got 5")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("files", [["a.onnx"], ["a.cfg", "a.onnx"]])
def test_int8_that_opencv_5_computes_wrongly_is_refused_before_anything_is_computed(
    run: Run, spots: Path, tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("evaluate", "int8_images"):
        monkeypatch.setattr(export_verb, name, must_not_run)
    model = tmp_path / "tiny.safetensors"
    seyolo.save(seyolo.load("yolov3-tiny@0.125", num_classes=1), model)
    line = ["export", model, *files, "--int8", "--for", "opencv5", "--size", 320, "--data", spots]
    assert_refused(
        run(*line), "a.onnx: OpenCV 5 fails in int8 where a pool halves a map", "a multiple of 128"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_missing_packages_of_several_files_are_named_before_any_is_written(
    run: Run, finder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ncnn", "MNN"):
        monkeypatch.setitem(sys.modules, module, None)
    for model in (finder, "gone.safetensors"):  # before the model is read
        outcome = run("export", model, "a.onnx", "a.ncnn.param", "a.mnn")
        for file, title, extra in (("a.ncnn.param", "ncnn", "ncnn-export"), ("a.mnn", "MNN", "mnn")):
            command = pip_install(f"seyolo[{extra}]")
            line = f"{file} needs {title}, which is not installed; get it with: {command}"
            assert_refused(outcome, line)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a.onnx", "a.onnx"], "the same file twice"),
        (["a.onnx", "./a.onnx"], "the same file twice"),
        (["a.onnx", "a.pt"], "a model is exported to .onnx"),
        (["a.onnx", "a.mnn", "--nms"], "MNN has no non-maximum suppression"),
        (["a.mnn", "a.tflite", "--dynamic-batch"], "MNN has no dynamic batch"),
        (["a.cfg", "a.safetensors", "--half"], "Darknet has no 16-bit kernels"),
        (
            ["a.mnn", "a.cfg", "--int8", "--data", "DATA"],
            "MNN has no int8; export to .onnx or .xml or .tflite",
        ),
    ],
)
def test_several_files_that_cannot_be(
    run: Run, finder: Path, spots: Path, *, tmp_path: Path, arguments: list[str], part: str
) -> None:
    line = [spots if argument == "DATA" else argument for argument in arguments]
    assert_refused(run("export", finder, *line), part)
    assert not list(tmp_path.iterdir())


def test_pnnx_is_asked_for_by_the_export_alone(
    run: Run, finder: Path, image: Path, *, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ncnn", reason="needs seyolo[ncnn]")
    monkeypatch.setitem(sys.modules, "pnnx", None)
    outcome = run("export", finder, "a.ncnn.param")
    assert_refused(outcome, "a.ncnn.param needs pnnx", pip_install("seyolo[ncnn-export]"))
    monkeypatch.delitem(sys.modules, "seyolo.runtime.ncnn_backend", raising=False)
    monkeypatch.setitem(sys.modules, "ncnn", None)
    (tmp_path / "b.ncnn.param").touch()
    assert_refused(run("detect", "b.ncnn.param", image), "param needs ncnn", pip_install("seyolo[ncnn]"))


@pytest.mark.parametrize(
    ("package", "file", "extra"), [("MNN", "a.mnn", "mnn"), ("ai_edge_litert", "a.tflite", "litert")]
)
def test_runtimes_that_are_missing_are_named(
    run: Run, finder: Path, image: Path, *, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    package: str, file: str, extra: str,
) -> None:  # fmt: skip
    for module in list(sys.modules):
        if module.partition(".")[0] == package or extra in module:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    expected = pip_install(f"seyolo[{extra}]")
    for model in (finder, "gone.safetensors"):  # before the model is read
        assert_refused(run("export", model, file), f"{file} needs", expected)
    assert not list(tmp_path.iterdir())
    (tmp_path / file).touch()
    assert_refused(run("detect", file, image), f"{file} needs", expected)
