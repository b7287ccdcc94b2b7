"""How a command of the documentation is run in a test: the one place where it is made small or left out.

`as_run` changes words; what stands on the page is parsed as it is, and what is exchanged is checked as
printed, so that a command that would not work cannot hide here.
"""

from __future__ import annotations

from collections.abc import Sequence

from seyolo.processor import has_bf16

TRAINING = {"--size": "64", "--epochs": "1", "--batch": "4", "--device": "cpu"}
SMALL = {
    "slim": TRAINING,
    "train": TRAINING,
    "study": TRAINING | {"--gates": "eca", "--places": "head", "--joins": "scale", "--seeds": "0"},
    "benchmark": {"--repeats": "2"},
    "data synth": {"--train": "16", "--val": "2", "--test": "2", "--size": "64"},
}
"""Options that make a verb quick, by verb: put in place of what is printed, or behind it."""

INSTEAD = {
    "yolov3": "yolov3-tiny@0.5",
    "yolov3@0.25": "yolov3-tiny@0.5",
    # What so small a network takes hardly depends on its width, and on a busy machine more on the machine.
    "latency=50%@onnxruntime": "macs=50%",
    "latency=70%@onnxruntime": "macs=50%",
}
"""Networks and budgets that stand for others, in all verbs but `info`."""

HOURS = "trains for hours"
OXFORD = "trains for hours; tests/verbs/test_oxford_table.py runs it small"
WEIGHTS = "needs trained weights of COCO"
COMPILES = "tests/test_native_examples.py compiles and runs it"
NOT_RUN = {
    "make demo": "takes five minutes; tests/cli runs demo's parts",
    "make test": "would run these tests",
    "make test-oldest": "sets up an environment of its own",
    "make test-newest": "sets up an environment of its own",
    "make test-wheel": "sets up an environment of its own",
    "make lock": "changes the lock; tests/test_requirements.py checks it",
    "make licences": "changes the page; tests/test_licences.py checks it",
    'pip install -e ".[dev]"': "installs",
    "tools/debian_python.sh 3.14 forky": "downloads a Python",
    'pip install ".[track]" && pip install --no-deps "trackers>=2.6"': "installs",
    "make check": "is no test",
    "seyolo data label yolo-fastest-1.1-xl.cfg photos labelled --confidence 0.35": WEIGHTS,
    "seyolo slim --data labelled --model yolo-fastest-1.1.cfg --weights yolo-fastest-1.1.weights --size 192 "
    "--budget macs=60% --batch 8 --sparse-epochs 0 --finetune-epochs 50 --lr 0.00045": WEIGHTS,
    "make dist": "tests/wheel tests what it builds",
    "make format": "changes the sources",
    ".venv/bin/python tools/option_keywords.py": "changes the sources; tests/options checks them",
    "SEYOLO_PIN=1 .venv/bin/python -m pytest tests/regression/test_help.py": "changes the pins",
    "make docs": "tests/docs/test_docs_site.py builds the site",
    "python3 -m venv .venv": "tests run in an environment",
    "python3 -m venv --system-site-packages .venv": "tests run in an environment",
    ". .venv/bin/activate": "tests run in an environment",
    "pip install .": "installs",
    'pip install ".[ncnn]"': "installs",
    'pip install ".[train]"': "installs",
    'pip install ".[ncnn-export,mnn,litert,train]"': "installs",
    "python benchmarks/controls.py hands/data.yaml runs/controls benchmarks/results/controls "
    "--optimizer adamw --seeds 0 1 2 --budgets macs=30% "
    "--names slim dense int8 uniform scratch lowres random": HOURS,
    "python benchmarks/controls.py bccd runs/bccd benchmarks/results/bccd --optimizer adamw "
    "--attention se --size 320 --epochs 120 --half --budgets macs=30% "
    "--names half slim dense uniform scratch int8 --seeds 0 1 2": HOURS,
    "python benchmarks/controls.py hands/data.yaml runs/muon benchmarks/results/muon --epochs 16 "
    "--budgets macs=30% --names slim dense": HOURS,
    "python benchmarks/oxford.py hand_dataset.tar.gz runs/oxford --estimate": OXFORD,
    "python benchmarks/oxford.py hand_dataset.tar.gz runs/oxford": OXFORD,
    "seyolo export slim.safetensors slim_opencv5.onnx --int8 --data data.yaml --for opencv5": "needs a "
    "network that finds something; tests/exporting/test_opencv5_form.py has one",
    "npm install onnxruntime-web@1.30.0": "installs",
    "seyolo serve hand --browser node_modules/onnxruntime-web": "needs onnxruntime-web; "
    "tests/web/test_browser_page.py runs it",
    'OV=$(python -c "import openvino, pathlib; print(pathlib.Path(openvino.__file__).parent)")': COMPILES,
    "c++ -std=c++17 -O2 -I$OV/include examples/native/openvino.cpp $OV/libs/libopenvino.so.* "
    "-Wl,-rpath,$OV/libs -o detect": COMPILES,
    "./detect slim.onnx photo.ppm 0.25": COMPILES,
    "python benchmarks/runtimes.py": "takes minutes; tests/verbs/test_runtimes_table.py runs it small",
    "tensorboard --logdir runs": "serves until Ctrl-C",
    "seyolo detect hand.onnx 0 --max-frames 300": "needs a camera",
    "seyolo detect slim.onnx 0 --save json --out seen": "needs a camera",
    "seyolo demo": "takes five minutes; tests/cli runs demo's parts",
    "seyolo demo --out my_demo --seed 1": "takes five minutes",
    "seyolo demo --json demo.json": "takes five minutes",
    "seyolo detect hand.onnx rtsp://192.168.1.20:554/stream1": "needs a camera on the network",
    "seyolo detect hand.onnx http://192.168.1.21:8080/video": "needs a camera on the network",
}
"""Commands that no test runs, and why. What can be checked of them otherwise is."""


def verb_of(words: Sequence[str]) -> str:
    """`slim`, or `data check`, of the words behind `seyolo`."""
    return " ".join(words[:2]) if words[0] == "data" else words[0]


def possible_here(text: str) -> str:
    """The text with float32 in place of bfloat16 where the processor lacks it, which would be refused."""
    return text.replace("bf16", "f32") if has_bf16() is False else text


def as_run(words: Sequence[str]) -> list[str]:
    """The words behind `seyolo` as a test runs them."""
    words = [possible_here(word) for word in words]
    out = [words[0], *(INSTEAD.get(word, word) if words[0] != "info" else word for word in words[1:])]
    if "--resume" in words:
        return out
    for option, value in SMALL.get(verb_of(words), {}).items():
        if option in out:
            out[out.index(option) + 1] = value
        elif option != "--device":
            out += [option, value]
    return out


def exchanged(words: Sequence[str]) -> list[str]:
    """What `as_run` puts something else for."""
    return [] if words[0] == "info" else [word for word in words if word in INSTEAD]
