"""Lines of Ultralytics, YOLOv5, Darknet and OpenCV: each answer is the line in seyolo's words."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from helpers.running import Run, assert_refused
from seyolo.cli import make_app
from seyolo.commands.foreign import EXPORTS_WITH, INSIDE
from seyolo.exporting.formats import FORMATS
from seyolo.exporting.onnx import USUAL_THRESHOLDS

ULTRALYTICS = {
    "predict model=best.onnx source=bus.jpg conf=0.5": "detect best.onnx bus.jpg --confidence 0.5",
    "predict model=best.onnx source=0 show=True": "detect best.onnx 0",
    "detect predict model=best.onnx source=photos save_txt=True save_crop=True": (
        "detect best.onnx photos --save images,video,json,yolo,crops"
    ),
    "predict best.onnx bus.jpg --conf=0.3 --name exp": "detect best.onnx bus.jpg --confidence 0.3 --out exp",
    "predict": "detect MODEL IMAGES",
    "predict a.onnx b.jpg --conf": "detect a.onnx b.jpg --confidence VALUE",
    "predict --help": "detect --help",
    "help predict": "detect --help",
    "track model=best.onnx source=video.mp4 tracker=bytetrack.yaml": "detect best.onnx video.mp4 --track",
    "mode=predict task=detect model=best.onnx source=a.jpg": "detect best.onnx a.jpg",
    "yolo detect val model=best.onnx data=d.yaml split=test": "val best.onnx --data d.yaml --split test",
    "train data=coco8.yaml model=yolov3-tinyu.pt epochs=9 imgsz=320 batch=8 lr0=0.01 device=0 name=exp": (
        "train --data coco8.yaml --model yolov3-tiny --epochs 9 --size 320 --batch 8 --lr 0.01 --name exp "
        "--device cuda:0"
    ),
    "train data=coco8.yaml model=yolo11n.yaml optimizer=AdamW batch=-1 patience=20 freeze=10": (
        "train --data coco8.yaml --model yolov3-tiny@0.5 --batch auto --patience 20 --freeze 10 "
        "--optimizer adamw"
    ),
    "train resume=True model=runs/detect/train/weights/last.pt": "train --resume runs/detect/train",
    "train --data d.yaml --model yolov3 --imgsz 480 640 --workers 4": (
        "train --data d.yaml --model yolov3 --size 640x480"
    ),
    "train data=d.yaml imgsz=[480,640] model=yolov3": "train --data d.yaml --size 640x480 --model yolov3",
    "slim --data d.yaml --model yolov3 --imgsz 320 --budget macs=30% params=2M --batch-size 8": (
        "slim --data d.yaml --model yolov3 --size 320 --budget macs=30% params=2M --batch 8"
    ),
    "val model=best.pt data=coco8.yaml": "val best.onnx --data coco8.yaml",
    "export model=slim.safetensors format=onnx nms=True dynamic=True half=False": (
        "export slim.safetensors slim.onnx --nms --dynamic-batch"
    ),
    "export model=a.cfg format=openvino int8=True data=d.yaml": "export a.cfg a.xml --int8 --data d.yaml",
    "export model=a.cfg format=onnx,openvino half=True": "export a.cfg a.onnx a.xml --half",
    "export --model a.cfg format=TFLite simplify=True": "export a.cfg a.tflite",
    "export model=a.cfg format=ncnn half=True": "export a.cfg a.ncnn.param --half",
    "export model=a.cfg format=mnn": "export a.cfg a.mnn",
    "export a.cfg openvino half": "export a.cfg a.xml --half",
    "export a.safetensors onnx": "export a.safetensors a.onnx",
    "benchmark model=a.onnx data=d.yaml imgsz=640": "benchmark a.onnx --data d.yaml",
    "info model=yolov3.cfg": "info yolov3.cfg",
    "check data.yaml": "data check data.yaml",
    "data label photos --model hand": "data label hand photos OUT",
    "data label --model hand --source photos --out round1": "data label hand photos round1",
    "data label hand photos --out round1": "data label hand photos round1",
    "slim photos": "slim --data photos --model yolov3@0.25",
    "train hands.zip yolov3-tiny": "train --data hands.zip --model yolov3-tiny",
    "slim yolov3-tiny photos": "slim --model yolov3-tiny --data photos",
    "export x.weights a.onnx": "export x.cfg a.onnx --weights x.weights",
    "detect x.weights photos": "detect x.cfg photos --weights x.weights",
    "slim --data d.yaml --model yolov3 --out runs/x": "slim --data d.yaml --model yolov3 --name x",
    "train --data d.yaml --model yolov3 --out x": "train --data d.yaml --model yolov3 --name x",
}
YOLOV5 = {
    "train --data d.yaml --weights yolov5s.pt --img 640 --batch-size 16 --epochs 3 --project a --name b": (
        "train --data d.yaml --size 640 --batch 16 --epochs 3 --name b --model yolov3-tiny@0.5"
    ),
    "train.py --data d.yaml --cfg yolov3.cfg --exist-ok": "train --data d.yaml --model yolov3.cfg",
    "detect.py --weights yolov5s.onnx --source photos/ --conf-thres 0.4 --iou-thres 0.5 --nosave": (
        "detect yolov5s.onnx photos/ --confidence 0.4 --iou 0.5"
    ),
    "detect best.onnx photos --conf 0.4 --project out --name exp": (
        "detect best.onnx photos --confidence 0.4 --out out/exp"
    ),
    "detect best.onnx photos --view-img": "detect best.onnx photos",
    "val --weights best.onnx --data coco.yaml --batch-size 32": "val best.onnx --data coco.yaml",
    "test --weights best.onnx --data coco.yaml": "val best.onnx --data coco.yaml",
    "test --weights best.onnx --source a.jpg": "detect best.onnx a.jpg",
}
DARKNET = {
    "detector train data/obj.data cfg/yolo-obj.cfg yolov4.conv.137 -dont_show -map": (
        "train --data data/obj.data --model cfg/yolo-obj.cfg --weights yolov4.conv.137"
    ),
    "detector train obj.data a.cfg a_last.weights -gpus 0,1": (
        "train --data obj.data --model a.cfg --weights a_last.weights --device cuda:0"
    ),
    "detector test obj.data x.cfg x.weights img.jpg -thresh 0.25 -ext_output": (
        "detect x.cfg img.jpg --confidence 0.25 --weights x.weights --iou 0.45"
    ),
    "detector map obj.data x.cfg x.weights -iou_thresh 0.5 -points 101": (
        "val x.cfg --data obj.data --weights x.weights"
    ),
    "train detector train obj.data x.cfg": "train --data obj.data --model x.cfg",
    "map obj.data x.cfg x.weights": "val x.cfg --data obj.data --weights x.weights",
    "detector test obj.data x.cfg x.weights a.jpg -out result.json": (
        "detect x.cfg a.jpg --weights x.weights --json result.json --iou 0.45"
    ),
    "detector demo coco.data a.cfg a.weights -c 0": "detect a.cfg 0 --weights a.weights --iou 0.45",
    "darknet detector demo coco.data a.cfg a.weights test.mp4 -out_filename res.avi": (
        "detect a.cfg test.mp4 --weights a.weights --out res --iou 0.45"
    ),
    "detect a.cfg dog.jpg -ext_output": "detect a.cfg dog.jpg --iou 0.45",
    "detect a.cfg a.weights dog.jpg -thresh 0.3": (
        "detect a.cfg dog.jpg --confidence 0.3 --weights a.weights --iou 0.45"
    ),
    "detect a.onnx dog.jpg -thresh 0.3": "detect a.onnx dog.jpg --confidence 0.3",
    "detect a.cfg dog.jpg -letter_box": "detect a.cfg dog.jpg --iou 0.45",
    "detect cfg/a.cfg a.weights dog.jpg": "detect cfg/a.cfg dog.jpg --weights a.weights",
    "track model=hand source=clip.mp4": "detect hand clip.mp4 --track",
    "track model=hand source=clip.mp4 tracker=bytetrack.yaml save_txt=True": (
        "detect hand clip.mp4 --save images,video,json,yolo --track"
    ),
    "predict model=hand source=photos save_txt": "detect hand photos --save images,video,json,yolo",
    "train resume model=runs/slim/hands2": "train --resume runs/slim/hands2",
    "train resume=True model=runs/train/x/weights/last.pt": "train --resume runs/train/x",
    "train --data a.yaml --model yolov3-tiny --sparsity l1 --lambda 0.01": (
        "train --data a.yaml --model yolov3-tiny --sparsity l1 --s 0.01"
    ),
    "prune a.cfg b.cfg --weights a.weights --global-threshold 0.85": (
        "prune a.cfg b.cfg --weights a.weights --budget channels=85%"
    ),
    "detector calc_anchors obj.data -num_of_clusters 9 -width 416 -height 416": (
        "data anchors obj.data --num 9 --size 416"
    ),
}
OPENCV = {
    "detect a.cfg dog.jpg --weights a.weights --thr 0.25 --nms 0.45": (
        "detect a.cfg dog.jpg --weights a.weights --confidence 0.25 --iou 0.45"
    ),
    "detect a.cfg dog.jpg --confThreshold 0.25 --nmsThreshold=0.45": (
        "detect a.cfg dog.jpg --confidence 0.25 --iou 0.45"
    ),
    "detect a.cfg dog.jpg --conf_threshold 0.25 --nms_threshold 0.45": (
        "detect a.cfg dog.jpg --confidence 0.25 --iou 0.45"
    ),
    "val a.cfg --weights a.weights --data d.yaml --nms 0.45": "val a.cfg --weights a.weights --data d.yaml",
    "detect --config X.cfg --model X.weights --input dog.jpg --classes coco.names": (
        "detect X.cfg dog.jpg --names coco.names --weights X.weights"
    ),
    "detect --model X.weights --input dog.jpg --labels coco.txt": (
        "detect X.cfg dog.jpg --names coco.txt --weights X.weights"
    ),
    "detect --config=X.cfg --model=X.weights --input=dog.jpg --mean 0 0 0 --rgb --scale 0.00392": (
        "detect X.cfg dog.jpg --weights X.weights"
    ),
    "detect a.onnx dog.jpg --backend opencv": "detect a.onnx dog.jpg --runtime opencv",
    "detect a.onnx dog.jpg --backend 3 --target 0": "detect a.onnx dog.jpg",
    "test X.cfg X.weights dog.jpg": "detect X.cfg dog.jpg --weights X.weights",
    "test X.cfg X.weights --data d.yaml": "val X.cfg --data d.yaml --weights X.weights",
    "export X.cfg coco.onnx --format onnx": "export X.cfg coco.onnx",
    "export X.cfg coco.onnx --format onnx,openvino": "export X.cfg coco.onnx X.xml",
    "export X.cfg coco.onnx --target opencv5": "export X.cfg coco.onnx --for opencv5",
    "export X.cfg x.weights --weights y.weights": "export X.cfg x.cfg --weights y.weights",
    "prune hand.cfg x.weights --weights hand.weights": "prune hand.cfg x.cfg --weights hand.weights",
    "prune hand.cfg hand.weights x.weights": "prune hand.cfg x.cfg --weights hand.weights",
    "detect a.cfg b.weights dog.jpg --weights c.weights": "detect a.cfg dog.jpg --weights c.weights",
    "prune a.cfg b.cfg --weights a.weights --ratio 0.3": (
        "prune a.cfg b.cfg --weights a.weights --budget macs=70%"
    ),
    "prune a.cfg b.cfg --weights a.weights --sparsity 0.5": (
        "prune a.cfg b.cfg --weights a.weights --budget macs=50%"
    ),
}
FILES_WITHOUT_OPTION = {
    "train data.yaml": "train --data data.yaml --model yolov3@0.25",
    "val slim.onnx data.yaml": "val slim.onnx --data data.yaml",
}


@pytest.mark.parametrize(
    ("line", "ours"), [*(ULTRALYTICS | YOLOV5 | DARKNET | OPENCV | FILES_WITHOUT_OPTION).items()]
)
def test_a_line_of_another_program_is_translated_and_not_run(
    line: str, ours: str, run: Run, tmp_path: Path
) -> None:
    outcome = run(*line.split())
    assert_refused(outcome, "not seyolo's words: ")
    assert outcome.err.splitlines()[1] == f"  seyolo {ours}"
    if not ours.endswith(("--help", "VALUE")):
        make_app().parse_args(shlex.split(ours), exit_on_error=False, print_error=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("predict model=a.onnx source=b imgsz=640", "left out: imgsz (a model file has its own input size)"),
        ("predict model=a.onnx source=b show=True classes=0", "left out: show, classes"),
        (
            "detector map obj.data x.cfg x.weights -iou_thresh 0.5",
            "left out: iou_thresh (AP counts boxes from an IoU of 0.5 to 0.95 on)",
        ),
        ("train data=d model=yolov3 optimizer=SGD", "left out: optimizer SGD (adamw or muon)"),
        ("train data=d model=yolov3 device=mps", "left out: device mps"),
        ("train data=d model=yolov3 mosaic=0.3", "left out: mosaic 0.3 (0 is --no-mosaic)"),
        ("train data=d model=yolov3 mosaic=0 fliplr=0.5", "--model yolov3 --no-mosaic"),
        ("train data=d model=yolov3 fliplr=0.0 patience=50", "--model yolov3 --patience 50 --no-flip"),
        ("train data=d model=yolov3 hsv_s=0 freeze=10 batch=-1", "--freeze 10 --batch auto --no-colour"),
        ("train data=d model=yolov3 project=p name=n", "left out: project p (runs are in runs/train)"),
        ("train data=d model=yolov8n.pt", "left out: yolov8n.pt (training starts from a network of the zoo)"),
        ("val model=best.pt data=d", "Ultralytics writes best.onnx: yolo export model=best.pt format=onnx"),
        ("export model=a.cfg format=engine", "left out: format engine (.onnx is what others read)"),
        ("export model=best.pt format=openvino", "yolo export model=best.pt format=onnx"),
        (
            "export model=best.pt format=ncnn int8=True",
            "  seyolo export MODEL.safetensors MODEL.ncnn.param\n",
        ),
        ("export model=best.pt format=ncnn int8=True", "left out: int8 (.onnx or .xml or .tflite has it)"),
        ("export best.pt format=onnx half", "seyolo export MODEL.safetensors MODEL.onnx --half"),
        ("train data=d model=yolov8n.pt", "--model yolov3-tiny@0.5"),
        ("train data=d model=yolo11m.pt", "--model yolov3@0.25"),
        ("export model=hand format=onnx", "hand: comes with seyolo as a finished .onnx file (/"),
        ("export model=a.onnx format=openvino", "a.onnx: is a finished file, which cannot be trained"),
        ("export a.onnx a.xml", "give the .safetensors or .cfg that it was made from"),
        ("slim data=d.yaml model=hand", "hand: comes with seyolo as a finished .onnx file (/"),
        ("train data=d.yaml model=a.onnx", "a.onnx: is a finished file, which cannot be trained"),
        ("prune model=best.pt out=a.cfg", "best.pt: holds Python code of PyTorch"),
        ("export model=a.cfg format=onnx opset=12", "left out: opset"),
        ("detector train d.data a.cfg -gpus 0,1,2", "left out: GPU 1, 2 (several train together by torchrun"),
        ("detect a.cfg b.weights dog.jpg --weights c.weights", "left out: b.weights"),
        ("detect a.onnx dog.jpg --backend 3", "left out: backend 3 (onnxruntime, "),
        ("export a.cfg a.onnx --target cpu", "left out: target cpu (onnxruntime, openvino, opencv5)"),
        (
            "detector train d.data a.cfg -clear -map -dont_show",
            "left out: clear (training starts at step 0 anyway), map (AP is measured during training "
            "anyway), dont_show (no window opens)",
        ),
        ("detect a.cfg b.jpg -ext_output", "left out: ext_output (boxes are printed with --json -)"),
        ("export a.cfg a.onnx --nms 0.4", "not seyolo's words: --nms 0.4; in seyolo:\n  seyolo export a.cfg"),
        ("export a.cfg a.onnx --nms 0.4", "a.onnx --nms\nleft out: 0.4 (suppression inside a file is at "),
        ("export a.cfg --nms=0.4 a.onnx", "a.onnx --nms\nleft out: 0.4 (suppression inside a file is at "),
        ("export a.cfg a.onnx --nms --iou 0.4", "a.onnx --nms\nleft out: iou (suppression inside a file"),
        ("export a.cfg a.onnx --half 0.5", "a.onnx --half\nleft out: 0.5 (a switch has no value)"),
        ("val a.cfg --data d.yaml --nms 0.45", "left out: nms (AP counts boxes from"),
        ("prune a.cfg b.cfg --ratio 0.3", "ratio 30% is read as the share to remove; macs= is the share to"),
        ("segment predict model=a source=b", "there is no segment"),
    ],
)
def test_what_has_no_word_of_ours_is_named(line: str, part: str, run: Run) -> None:
    assert_refused(run(*line.split()), part)


def test_the_thresholds_of_suppression_inside_a_file_are_those_of_export() -> None:
    usual = USUAL_THRESHOLDS
    assert f"at confidence {usual.confidence} and IoU {usual.iou_threshold};" in INSIDE


def test_class_names_come_from_the_data_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "obj.data").write_text("classes = 1\nnames = my names.txt\n")
    outcome = run(*"detector test obj.data x.cfg x.weights img.jpg".split())
    assert outcome.err.splitlines()[1].endswith("--names 'my names.txt' --iou 0.45")


def test_the_formats_with_an_option_are_those_of_export() -> None:
    for option, endings in EXPORTS_WITH.items():
        field = option.replace("-", "_")
        assert endings == tuple(ending for ending, kind in FORMATS.items() if field in kind.options)


def test_a_line_of_ours_that_fails_is_not_translated(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conf=0.5.jpg").write_text("no image")
    for line in ("detect hand conf=0.5.jpg", "detect hand a=b.jpg", "info gone.cfg", "detect hand -- --conf"):
        assert "not seyolo's words" not in run(*line.split()).err


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("info", "error: MODEL is missing; for example: seyolo info "),
        ("val slim.onnx", "--data is missing; for example: seyolo val "),
        ("export a.cfg", "OUT is missing; for example: seyolo export "),
        ("detect", "a model and images are missing; for example: seyolo detect "),
        ("detect hand", "images are missing behind the model; for example: seyolo detect "),
        ("detect photo.jpg", "MODEL is missing; for example: seyolo detect "),
        ("benchmark", "a model is missing; for example: seyolo benchmark "),
        ("train", "--data is missing; only --resume goes without it; for example: seyolo train "),
        ("slim", "--data is missing; only --resume goes without it; for example: seyolo slim "),
        ("train --data", "--data needs a value; for example: seyolo train "),
        ("data check", "DATA is missing; for example: seyolo data check "),
        ("info a b", "b: more words than the verb takes; for example: seyolo info "),
        ("trian", "there is no verb trian; did you mean train?"),
        ("slim --data d --dry-run", "slim has no --dry-run: it prints network, steps and time before it"),
        ("train --data d --dry_run", "train has no --dry-run: it prints network, steps and time before it"),
        ("slim --data d --dry-run", "seyolo prune MODEL OUT --budget macs=30% --dry-run plans which"),
        ("partial a.cfg a.weights b 15", "there is no verb partial; training on trained weights takes"),
        ("compare A B", "there is no verb compare; in seyolo: seyolo report RUN RUN"),
        ("detect hand a.jpg --confidence 0,5", 'to convert "0,5" into float; write 0.5'),
        ("info x.bin", "x.bin: is no model by itself; give the model itself, such as x.param"),
        ("info r/report.html", "give the model itself, such as slim.onnx"),
        ("info x.xyz", ".safetensors checkpoint, hand, or one of yolov2, "),
        ("info x.xyz", "detect, val and benchmark take .onnx, .xml, .ncnn.param, .mnn and .tflite, too"),
        ("xyz", "there is no verb xyz; there are slim, train, val, detect,"),
        ("readNetFromONNX a.onnx", "no verb readNetFromONNX; in seyolo: seyolo detect MODEL.onnx IMAGES"),
        ("cv2.dnn.readNetFromDarknet a.cfg", "in seyolo: seyolo export MODEL.cfg MODEL.onnx"),
        ("data chek", "there is no verb chek; did you mean check?"),
    ],
)
def test_a_missing_word_is_called_missing(line: str, part: str, run: Run) -> None:
    outcome = run(*line.split())
    assert_refused(outcome, part)
    assert len(outcome.err.splitlines()) == 1


def test_the_model_beside_a_file_that_is_none_is_named(run: Run, tmp_path: Path) -> None:
    for name in ("x.ncnn.param", "y.xml", "z.cfg", "slim.onnx"):
        (tmp_path / name).touch()
    for given, model in {"x.ncnn.bin": "x.ncnn.param", "y.bin": "y.xml", "report.html": "slim.onnx"}.items():
        assert_refused(run("info", given), f"{given}: is no model by itself; give {model}\n")
        assert_refused(run("val", given, "--data", "gone"), "gone")
    assert_refused(run("info", "z.weights"), "weights alone are no model; give z.cfg\n")


def test_help_is_a_word_and_has_a_version(run: Run) -> None:
    assert run("help").out == run("--help").out == run().out
    assert run("help", "info").out == run("info", "help").out == run("info", "--help").out
    assert run("data", "check", "help").out == run("data", "check", "--help").out
    assert run("-V").out == run("--version").out


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("best.pt", "best.pt: holds Python code of PyTorch, which seyolo does not run; write it as .onnx"),
        ("best.pt", "yolo export model=best.pt format=onnx"),
        ("runs/last.pth", "yolo export model=runs/last.pt format=onnx"),
        ("best.engine", "is made for one GPU by TensorRT; give the .onnx of that model"),
        ("best.mlpackage", "is a file of CoreML; give the .onnx of that model"),
        ("best.pb", "is a file of TensorFlow; give the .onnx of that model"),
        ("yolo11n.yaml", "is no network of seyolo; give a Darknet .cfg or a name of the zoo"),
    ],
)
@pytest.mark.parametrize(
    "line", ["detect FILE hand.jpg", "info FILE", "train --data DATA --model FILE", "benchmark FILE"]
)
def test_a_model_of_another_program_says_the_way_on(
    line: str, file: str, part: str, *, run: Run, hands: Path, image: Path, tmp_path: Path
) -> None:
    (tmp_path / "hand.jpg").write_bytes(image.read_bytes())
    words = line.replace("FILE", file).replace("DATA", str(hands)).split()
    assert_refused(run(*words), part)


def test_a_tflite_of_another_program_says_the_way_on(run: Run, image: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs seyolo[litert]")
    (tmp_path / "best.tflite").write_bytes(b"")
    outcome = run("detect", "best.tflite", image)
    assert_refused(
        outcome, "best.tflite.json: there is no such file", "yolo export model=best.pt format=onnx"
    )
