"""Files of every format, of one network whose weights are drawn, and what they find."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from drawn import draw_scales, numpy_state
from onnx import numpy_helper
from pins import Recording, digest, seyolo_line, state_digest

import seyolo

FORMATS: dict[str, dict[str, Any]] = {
    "plain.onnx": {},
    "nms.onnx": {"nms": True},
    "dynamic.onnx": {"dynamic_batch": True},
    "half.onnx": {"half": True},
    "half-nms.onnx": {"half": True, "nms": True},
    "int8.onnx": {"int8": True},
    "int8-nms.onnx": {"int8": True, "nms": True},
    "plain.xml": {},
    "half.xml": {"half": True},
    "int8.xml": {"int8": True},
    "plain.cfg": {},
}
NEWER_LINE = "pad_value=114\n"  # of a cfg file; newer than the pins


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight drawn ones."""
    folder = tmp_path_factory.mktemp("drawn")
    seyolo_line("data synth hands --train 8 --val 1 --test 1 --size 96".split(), folder)
    return sorted((folder / "hands" / "images" / "train").iterdir())


@pytest.fixture(scope="module")
def model() -> Any:
    """A small network with gates that finds something on the finer grid, wherever it looks.

    An int8 file is only written where its boxes are those of the model.
    """
    model = draw_scales("yolov3-tiny@0.25", "se", "neck")
    state = model.state_dict()
    heads = [name.removesuffix(".bias") for name in state if state[name].shape == (18,)]
    for grid, head in enumerate(heads):
        state[f"{head}.weight"].zero_()
        outputs = state[f"{head}.bias"].view(3, 6)
        outputs[:, 4], outputs[:, 5] = -6, 2
        outputs[0, 4] = -6 + 8 * grid
    return model


def add_file(found: Recording, path: Path) -> None:
    """Pins what is in a file: its structure everywhere, its bytes on the same machine."""
    if path.suffix == ".onnx":
        structure, tensors = onnx_parts(onnx.load(path))
        found.exact[f"{path.name} structure"] = digest(structure)
        found.add_state(f"{path.name} tensors", tensors)
        found.digests[path.name] = digest(path.read_bytes())
    elif path.suffix == ".xml":
        found.digests[path.name] = digest(nameless(path.read_text(encoding="utf-8")))
    elif path.suffix == ".cfg":
        found.exact[path.name] = digest(path.read_text(encoding="utf-8").replace(NEWER_LINE, ""))
    else:
        found.digests[path.name] = digest(path.read_bytes())
    # A changed constant can be stored in more or fewer bytes.
    if path.suffix != ".xml":
        newer = len(NEWER_LINE) if path.suffix == ".cfg" else 0
        found.exact[f"{path.name} bytes"] = path.stat().st_size - newer


def add_boxes(found: Recording, path: Path, picture: Path) -> None:
    """Pins what the file finds in a picture."""
    photo = cv2.imread(str(picture))
    if "nms" in path.name:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        planes = cv2.resize(photo, entry.shape[:1:-1]).astype(np.float32).transpose(2, 0, 1)[None] / 255
        (rows,) = session.run(None, {entry.name: planes})
        found.numbers["boxes found"], found.numbers["first rows"] = len(rows), rows[:3].tolist()
        return
    # The pin of the cfg is of OpenCV's reader.
    seen = seyolo.Detector(path, runtime="opencv" if path.suffix == ".cfg" else None).detect(photo)
    found.numbers["boxes found"] = len(seen)
    found.numbers["first boxes"] = seen.boxes[:3].tolist()
    found.numbers["first scores"] = seen.scores[:3].tolist()


def onnx_parts(proto: onnx.ModelProto) -> tuple[str, dict[str, np.ndarray]]:
    """The graph without its tensors as text, and the tensors; an int8 file's measured values are left out."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    lines = [f"{item.key}={item.value}" for item in proto.metadata_props if item.key != "int8"]
    lines += [f"{opset.domain} {opset.version}" for opset in proto.opset_import]
    for node in proto.graph.node:
        attributes = [
            f"{attribute.name}={onnx.helper.get_attribute_value(attribute)!r}"
            for attribute in node.attribute
            if attribute.type != onnx.AttributeProto.TENSOR
        ]
        lines.append(f"{node.op_type} {list(node.input)} {list(node.output)} {sorted(attributes)}")
    lines += [str(value) for value in (*proto.graph.input, *proto.graph.output)]
    return "\n".join(lines), tensors


def nameless(xml: str) -> str:
    """OpenVINO's text without the names of layers, which it numbers by what else the process made."""
    return re.sub(r'(<layer id="\d+" )name="[^"]*" ', r"\1", xml)


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_is_as_it_was(name: str, model: Any, pictures: list[Path], tmp_path: Path) -> None:
    options = dict(FORMATS[name])
    if "int8" in options:
        options["pictures"] = pictures
    found = Recording(f"export-{name}")
    for path in seyolo.export(model, tmp_path / name, **options):
        add_file(found, path)
    add_boxes(found, tmp_path / name, pictures[0])
    found.hold()


def test_the_checkpoint_is_as_it_was(model: Any, tmp_path: Path) -> None:
    seyolo.save(model, tmp_path / "x.safetensors")
    seyolo_line(["export", "x.safetensors", "y.safetensors"], tmp_path)
    found = Recording("export-safetensors")
    for name in ("x", "y"):
        path = tmp_path / f"{name}.safetensors"
        header = path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")]
        found.exact[f"{name} metadata"] = digest(sorted_json(header))
        found.add_checkpoint(path, name)
    found.exact["as the model"] = state_digest(numpy_state(model)) == found.digests["x"]
    found.hold()


def sorted_json(header: bytes) -> str:
    """The metadata without the checksum, which is newer than the pin."""
    metadata = json.loads(header)["__metadata__"]
    del metadata["checksum"]
    return json.dumps(metadata, sort_keys=True)
