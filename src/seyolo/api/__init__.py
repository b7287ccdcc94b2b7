"""The functions behind the verbs, and what opens a MODEL for them.

Thin: each puts together what the rooms offer.
"""

from __future__ import annotations

from seyolo.api.cutting import plan_file, plan_path, prune_file, read_plan
from seyolo.api.exporting import export_file
from seyolo.api.measuring import evaluate, evaluate_oxford
from seyolo.api.opening import ModelKeywords, input_size, open_model, open_on_torch, resized
from seyolo.api.settings import check_training, chosen_model
from seyolo.api.slimming import resume_slim, slim
from seyolo.api.training import TrainSettings, resume_train, train
from seyolo.pruning.options import PlanOptions
from seyolo.report.pages import write_report
from seyolo.runtime.torch_backend import torch_device

__all__ = [
    "ModelKeywords",
    "PlanOptions",
    "TrainSettings",
    "check_training",
    "chosen_model",
    "evaluate",
    "evaluate_oxford",
    "export_file",
    "input_size",
    "open_model",
    "open_on_torch",
    "plan_file",
    "plan_path",
    "prune_file",
    "read_plan",
    "resized",
    "resume_slim",
    "resume_train",
    "slim",
    "torch_device",
    "train",
    "write_report",
]
