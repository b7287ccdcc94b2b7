"""Distillation: its terms by hand, who learns and who does not, whole runs, and teachers that do not fit."""

from __future__ import annotations

import copy
import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.small_networks import CONVOLUTION, small_network
from helpers.stopping import StopIn
from seyolo.checkpoint import read_checkpoint
from seyolo.darknet import zoo
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import TrainingError, UsageError
from seyolo.torchnet.attention import attach
from seyolo.torchnet.build import DarknetModel, build, from_checkpoint, to_checkpoint
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import (
    Distillation,
    DistillationModule,
    binary_divergence,
    check_teacher,
    distillation_terms,
    independent_divergence,
    softmax_divergence,
    with_classes_of,
)
from seyolo.training.loop import TrainResult, train
from seyolo.training.loss import DetectionLoss, LossModule, predictions
from seyolo.training.run_folder import saved_state
from seyolo.training.trackers import Monitor
from seyolo.translation.folding import fold_batch_norm

CONFIG = TrainConfig(epochs=2, batch=4, size=64, evaluations=1, warmup_epochs=0.5)
TARGETS = torch.tensor([[0, 0, 40.0, 30.0, 30.0, 40.0], [1, 0, 60.0, 64.0, 50.0, 60.0]])
REGION = """
[net]
width=32
height=32
channels=3
[convolutional]
filters=16
size=1
stride=2
activation=linear
[region]
anchors=1,2, 2,1
num=2
classes=3
softmax=1
"""


def tiny(seed: int, width: float = 0.125, confidence: float = 0.0) -> DarknetModel:
    """A random model whose head varies from cell to cell; `confidence` is added to its objectness logits."""
    network = zoo.yolov3_tiny(num_classes=1, width=width, scale_x_y=2.0)
    model = build(network, ("hand",), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for convolution, head in model.head_convolutions():
            convolution.weight *= 5
            convolution.bias.view(len(head.anchors), -1)[:, 4] += confidence
    return model


def images(num: int = 2, size_px: int = 96) -> Tensor:
    return torch.rand(num, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


def module(student: DarknetModel, teacher: DarknetModel, weight: float = 1.0) -> DistillationModule:
    return DistillationModule(student, DetectionLoss(student.heads), Distillation(teacher, weight))


def term(student: DarknetModel, teacher: DarknetModel, batch: Tensor | None = None) -> float:
    """The teacher's term alone."""
    return float(module(student, teacher)(images() if batch is None else batch, TARGETS)[1][3])


def test_binary_divergence_by_hand() -> None:
    # Student says 1/2, teacher 3/4: 3/4 ln(3/4 : 1/2) + 1/4 ln(1/4 : 1/2).
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    student, teacher = torch.tensor([0.0, 7.0, -40.0]), torch.tensor([math.log(3), 7.0, -40.0])
    assert binary_divergence(student, teacher).tolist() == pytest.approx([expected, 0, 0], abs=1e-6)


def test_class_divergences_by_hand() -> None:
    student, teacher = torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]])
    binary = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    # Of its own each class: 1/2 against 3/4, and 1/2 against 1/2. Sharing one: (1/2, 1/2) against (3/4, 1/4).
    assert independent_divergence(student, teacher).item() == pytest.approx(binary)
    assert softmax_divergence(student, teacher).item() == pytest.approx(binary)
    assert softmax_divergence(teacher + 5, teacher).item() == pytest.approx(0, abs=1e-6)


def test_terms_by_hand() -> None:
    """Two predictions: the teacher is sure of the first only, so the second teaches no box and no class."""
    sure, unsure = math.log(4), -6.0
    wanted_logits = torch.tensor([[[0.0, 0, 0, 0, sure, 0], [0, 0, 0, 0, unsure, 9]]])
    logits = torch.tensor([[[0.0, 0, 0, 0, 0, math.log(3)], [0, 0, 0, 0, unsure, -9]]])
    wanted = torch.tensor([[[2.0, 1, 2, 2, 0.8, 0.5], [50, 50, 9, 9, 0.0025, 1]]])
    decoded = torch.tensor([[[1.0, 1, 2, 2, 0.5, 0.75], [1, 1, 2, 2, 0.0025, 0]]])
    terms = distillation_terms((decoded, logits), (wanted, wanted_logits), independent_divergence)
    # CIoU as in test_loss. The total quality, 0.8, is below the least divisor of 1.
    box = 0.8 * (1 - (2 / 6 - 1 / 13))
    objectness = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    classes = 0.8 * (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    assert terms.tolist() == pytest.approx([box, objectness, classes], rel=1e-4)


def test_equal_predictions_cost_nothing_and_give_no_gradient() -> None:
    teacher = tiny(0, confidence=5.0).eval()
    batch = images()
    logits = [x.detach().requires_grad_() for x in teacher.forward_heads(batch)]
    student = predictions(teacher.heads, logits, (96, 96))
    with torch.no_grad():
        wanted = predictions(teacher.heads, logits, (96, 96))
    assert (wanted[0][..., 4] > 0.5).any()
    terms = distillation_terms(student, wanted, independent_divergence)
    terms.sum().backward()
    assert terms.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    for x in logits:
        assert x.grad is not None
        assert x.grad.abs().max() < 1e-6


def test_a_teacher_of_the_same_classes_in_another_order_follows_the_names() -> None:
    network = zoo.yolov3_tiny(num_classes=2, width=0.125, scale_x_y=2.0)
    teacher = build(network, ("hand", "face"), torch.Generator().manual_seed(0)).eval()
    student = build(network, ("face", "hand"), torch.Generator().manual_seed(1)).eval()
    with pytest.raises(TrainingError, match=r"class 0 is hand .* \(hand, face there, face, hand here\)"):
        check_teacher(student, Distillation(teacher))
    ordered = with_classes_of(Distillation(teacher, 0.5), student.names)
    check_teacher(student, ordered)
    assert (ordered.teacher.names, ordered.weight) == (("face", "hand"), 0.5)
    with torch.no_grad():
        found, expected = (model(images()) for model in (ordered.teacher, teacher))
    torch.testing.assert_close(found, expected[..., [0, 1, 2, 3, 4, 6, 5]])
    for names in (("face", "foot"), ("class 0", "class 1")):  # other classes, and none
        assert with_classes_of(Distillation(teacher), names).teacher.names == teacher.names


def test_a_student_in_evaluation_mode_agrees_with_itself_as_teacher() -> None:
    model = tiny(0, confidence=5.0).eval()
    assert term(model, model) < 1e-4
    assert term(model, tiny(1, confidence=5.0)) > 0.1


def test_the_teacher_adds_weight_times_its_term() -> None:
    student, teacher = tiny(0), tiny(1, confidence=5.0)
    plain, parts = LossModule(copy.deepcopy(student), DetectionLoss(student.heads))(images(), TARGETS)
    total, more = module(student, teacher, weight=0.5)(images(), TARGETS)
    assert torch.equal(parts, more[:3])
    assert total.item() == pytest.approx((plain + 0.5 * more[3]).item())


def test_only_the_student_learns_and_the_teacher_stays_in_evaluation_mode() -> None:
    student, teacher = tiny(0).train(), tiny(1, confidence=5.0).train()
    before = copy.deepcopy(teacher.state_dict())
    step = module(student, teacher)
    step.train()
    loss, parts = step(images(), TARGETS)
    loss.backward()
    assert parts[3] > 0
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert set(step.parameters()) == set(student.parameters())
    again = module(copy.deepcopy(student), teacher)(images(), TARGETS)[1][3]
    assert again == parts[3], "batches change nothing in the teacher"


@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_gates_other_widths_and_sizes_and_folded_teachers(kind: str) -> None:
    student = attach(tiny(0).eval(), kind, "head").train()
    teacher = tiny(1, width=0.25, confidence=5.0).eval()
    folded = from_checkpoint(fold_batch_norm(to_checkpoint(teacher)))
    for size_px in (64, 128):
        batch = images(size_px=size_px)
        found = term(copy.deepcopy(student), teacher, batch)
        assert found == pytest.approx(term(copy.deepcopy(student), folded, batch), rel=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            assert term(copy.deepcopy(student), teacher, batch) == pytest.approx(found, rel=0.1)


def test_classes_of_region_share_one_probability() -> None:
    student, teacher = (build(parse_cfg(REGION), None, torch.Generator().manual_seed(s)) for s in (0, 1))
    with torch.no_grad():
        for convolution, _ in teacher.head_convolutions():
            convolution.bias.view(2, 8)[:, 4] = 5
            convolution.bias.view(2, 8)[0, 5:] = torch.tensor([5.0, 0.0, 0.0])
    found = term(student, teacher)
    with torch.no_grad():
        for convolution, _ in student.head_convolutions():
            # A constant on all classes is nothing to a softmax, though much to sigmoids.
            convolution.bias.view(2, 8)[:, 5:] += 3
    assert term(student, teacher) == pytest.approx(found, rel=1e-4)


def named(classes: int, names: tuple[str, ...] | None = None, **options: int) -> DarknetModel:
    return build(small_network(CONVOLUTION, classes=classes, **options), names)


def with_channels(channels: int) -> DarknetModel:
    network = small_network(CONVOLUTION)
    return build(replace(network, net=replace(network.net, channels=channels)))


UNFIT = [
    (named(2), "number of classes: 2 in the teacher, 1 in the student"),
    (named(1, num_anchors=3), "anchors per cell: 3 in the teacher, 2 in the student"),
    (build(small_network(CONVOLUTION * 2)), "strides: 4 in the teacher, 2 in the student"),
    (with_channels(1), "input channels: 1 in the teacher, 3 in the student"),
]


@pytest.mark.parametrize(("teacher", "text"), UNFIT, ids=[text.split(":")[0] for _, text in UNFIT])
def test_a_teacher_that_does_not_fit(teacher: DarknetModel, text: str) -> None:
    with pytest.raises(TrainingError, match=rf"x\.safetensors: {text}; distillation needs"):
        check_teacher(named(1), Distillation(teacher, source="x.safetensors"))


def test_teachers_of_other_heads_or_names_do_not_fit() -> None:
    with pytest.raises(
        TrainingError, match=r"detection layers: \[region\] in the teacher, \[yolo\] in the student"
    ):
        check_teacher(named(3), Distillation(build(parse_cfg(REGION))))
    cats, dogs = named(2, ("cat", "dog")), named(2, ("dog", "cat"))
    with pytest.raises(TrainingError, match="class 0 is dog in the teacher and cat in the student"):
        check_teacher(cats, Distillation(dogs))
    check_teacher(cats, Distillation(named(2)))
    check_teacher(named(2), Distillation(dogs))


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_weights_that_make_no_sense(weight: float) -> None:
    with pytest.raises(UsageError, match="--distill"):
        Distillation(tiny(0), weight)


@pytest.fixture(scope="module")
def dataset(tiny_hands: Path) -> Dataset:
    return load_dataset(tiny_hands)


@pytest.fixture(scope="module")
def teacher() -> DarknetModel:
    return tiny(1, width=0.25, confidence=5.0).eval()


@pytest.fixture(scope="module")
def run(
    dataset: Dataset, teacher: DarknetModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainResult]:
    """A run with a teacher that nothing disturbs."""
    folder = tmp_path_factory.mktemp("run")
    distillation = Distillation(teacher, 0.5, "teacher.safetensors")
    return folder, train(tiny(0), dataset, CONFIG, folder, distillation=distillation)


def state_of(folder: Path) -> dict[str, np.ndarray]:
    return read_checkpoint(folder / "last.safetensors").state


def losses(result: TrainResult) -> list[list[float]]:
    return [[row[name] for name in ("box", "objectness", "classes")] for row in result.history]


def test_a_run_tells_its_teacher_and_its_term(run: tuple[Path, TrainResult]) -> None:
    folder, result = run
    config = json.loads((folder / "config.json").read_text())
    assert config["distillation"] == {"teacher": "teacher.safetensors", "weight": 0.5}
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["distillation"]) for row in rows] == [row["distillation"] for row in result.history]
    assert all(row["distillation"] > 0 for row in result.history)


def test_a_stopped_run_resumes_exactly(
    dataset: Dataset, teacher: DarknetModel, run: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    distillation = Distillation(teacher, 0.5, "teacher.safetensors")
    with pytest.raises(KeyboardInterrupt):
        train(
            tiny(0),
            dataset,
            CONFIG,
            tmp_path,
            distillation=distillation,
            monitor=Monitor(StopIn("train epoch 2/2")),
        )
    state = saved_state(tmp_path, CONFIG.epochs)
    resumed = train(tiny(0), dataset, CONFIG, tmp_path, distillation=distillation, state=state)
    expected = run[1]
    assert losses(resumed) == losses(expected)
    assert [row["distillation"] for row in resumed.history] == [
        row["distillation"] for row in expected.history
    ]
    ours, theirs = state_of(tmp_path), state_of(run[0])
    assert [name for name in theirs if not np.array_equal(ours[name], theirs[name])] == []


def test_weight_0_is_a_run_without_a_teacher_and_the_teacher_makes_a_difference(
    dataset: Dataset, teacher: DarknetModel, run: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    plain = train(tiny(0), dataset, CONFIG, tmp_path / "plain")
    zero = train(tiny(0), dataset, CONFIG, tmp_path / "zero", distillation=Distillation(teacher, 0.0))
    assert losses(zero) == losses(plain)
    ours, theirs = state_of(tmp_path / "zero"), state_of(tmp_path / "plain")
    assert [name for name in theirs if not np.array_equal(ours[name], theirs[name])] == []
    assert run[1].history[-1]["distillation"] < zero.history[-1]["distillation"]
    assert "distillation" not in json.loads((tmp_path / "plain" / "config.json").read_text())


def steps(student: DarknetModel, teacher: DarknetModel, weight: float) -> float:
    """How far the student is from the teacher after a few steps on one batch."""
    step = module(student, teacher, weight)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        step(images(), TARGETS)[0].backward()
        optimizer.step()
    return term(student, teacher)


def test_a_student_gets_nearer_to_its_teacher() -> None:
    teacher = tiny(1, width=0.25, confidence=4.0)
    start = term(tiny(0), teacher)
    with_it, without = (steps(tiny(0), teacher, weight) for weight in (1.0, 0.0))
    assert with_it < 0.75 * start
    assert with_it < 0.75 * without


def test_a_teacher_that_does_not_fit_starts_no_run(dataset: Dataset, tmp_path: Path) -> None:
    network: Network = zoo.yolov3_tiny(num_classes=2, width=0.125)
    with pytest.raises(TrainingError, match="number of classes: 2"):
        train(tiny(0), dataset, CONFIG, tmp_path / "run", distillation=Distillation(build(network)))
    assert not (tmp_path / "run").exists()
